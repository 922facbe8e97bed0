// Moves the clock of this process by the milliseconds in the file TEST_CLOCK, which is read at each look at the clock.
const { readFileSync } = require("fs");

const Real = Date;
const now = () => Real.now() + Number(readFileSync(process.env.TEST_CLOCK, "utf8"));

globalThis.Date = class extends Real {
  constructor(...values) {
    if (values.length) super(...values);
    else super(now());
  }

  static now() {
    return now();
  }
};
