// Numbers in words, as text.py.

/** Return a number with its noun: "1 case", "1,000 cases". */
export const counted = (number, one, several = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
