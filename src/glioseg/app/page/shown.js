// What is measured of the mask that is shown: the network's, a correction, or what somebody is drawing.

/** Intervals by region, lesions, diameters and scores of a mask: 0 the network's, n the n-th correction. */
export function factsOf(detail, n) {
  const correction = detail.corrections.find((own) => own.n === n);
  const { scores = null, corrected = null } = detail.reference ?? {};
  if (correction) {
    const isLast = correction === detail.corrections.at(-1); // The others were not compared with the reference.
    return { intervals: {}, lesions: correction.lesions, diameters: correction.diameters, scores: isLast ? corrected : null };
  }
  const intervals = Object.fromEntries(detail.regions.map(({ name, interval_ml: interval }) => [name, interval]));
  return { intervals, lesions: detail.lesions, diameters: detail.diameters, scores };
}

/** Of them, what is told while somebody draws: nothing that is measured anew only when the mask is saved. */
export function whileDrawn(facts) {
  return { ...facts, intervals: {}, diameters: [], scores: null };
}
