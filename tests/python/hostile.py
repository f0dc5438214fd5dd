"""Names that shells, spreadsheets, pages, file systems and addresses would take for something else."""

NAMES = (
    "..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "~/x", "-rf", "--overwrite", "-", "'", '"',
    "O'Brien",
    '"quoted"', "$(touch PWNED)", "`touch PWNED`", "${HOME}", "a; touch PWNED", "a && b | c > d",
    "*", "[ab]?{c,d}", "#1",
    "=1+1", "=HYPERLINK(\"http://x\")", "+1+1", "-1+1", "@SUM(A1)",
    "\t=1", "'=1", "＝1+1", "a\nb", "a\r", "\x1b[31mred",
    "\x00", "肿瘤", "水肿", "ورم", "\u202egnp.exe", "é" * 127,
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "[x](http://x)", "![x](x)", "**bold** _it_ `code`", "a | b", "$\\frac{1}{0}$", "%s%n{0}", "mean", " x ", "x" * 255,
    "\udcff\udcfe", "\ud800",
)
"""More than 40."""
