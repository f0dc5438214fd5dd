// Statistics and normalisation of intensities, as preprocessing/intensity.py, in single precision like NumPy.

const single = Math.fround;

/** Mean and standard deviation of an image that is processed in parts; `zscore_image` counts zeros, `zscore` does not. */
export class Moments {
  constructor(scheme) {
    this.everywhere = scheme === "zscore_image";
    this.n = this.mean = this.variance = 0;
  }

  add(values) {
    let n = 0, sum = 0, squares = 0;
    for (const value of values) if (this.everywhere || value !== 0) { n++; sum += value; }
    if (!n) return;
    const mean = sum / n;
    for (const value of values) if (this.everywhere || value !== 0) squares += (value - mean) ** 2;
    const apart = mean - this.mean, share = n / (this.n + n), before = this.n;
    this.mean += apart * share;
    this.variance = before ? this.variance * (1 - share) + (squares / n) * share + apart ** 2 * share * (1 - share) : squares / n;
    this.n += n;
  }

  statistics() {
    return { mean: this.mean, std: Math.sqrt(this.variance) || 1 };
  }
}

/** Return a function that normalises one value of a channel. */
export function normaliser(scheme, statistics, constants) {
  if (scheme === "window") {
    const low = single(constants.p0_5), high = single(constants.p99_5), mean = single(constants.mean);
    const std = Math.max(single(constants.std), single(1e-6));
    return (value) => single(single(Math.min(high, Math.max(low, value)) - mean) / std);
  }
  const mean = single(statistics.mean), std = single(statistics.std);
  if (scheme === "zscore") return (value) => (value === 0 ? 0 : single(single(value - mean) / std));
  return (value) => single(single(value - mean) / std);
}
