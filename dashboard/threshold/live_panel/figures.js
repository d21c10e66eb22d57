// The figures of one threshold, from its four counts: the same formulas as core/metrics/confusion.py, decision.py and
// intervals.py, compared with them by tests/dashboard/test_live_panel.py.
const Z = 1.959963984540054;
const FEWEST = 10;

const studyWord = (count) => (count === 1 ? 'study' : 'studies');
const undefinedFor = (n, why) => ({ value: NaN, low: NaN, high: NaN, n, why });
const bare = (value, n, why) => ({ value, low: NaN, high: NaN, n, why });

// Score interval for a proportion (Wilson 1927).
export function wilson(k, n) {
  if (!n) return [NaN, NaN];
  const z2 = Z * Z, share = k / n, centre = (k + z2 / 2) / (n + z2);
  const half = (Z / (n + z2)) * Math.sqrt(n * share * (1 - share) + z2 / 4);
  return [k === 0 ? 0 : centre - half, k === n ? 1 : centre + half];
}

function proportion(k, n, empty) {
  if (!n) return undefinedFor(0, `not estimable: ${empty}`);
  const [low, high] = wilson(k, n);
  return { value: k / n, low, high, n, why: '' };
}

function rate(k, n, name) {
  if (!n) return undefinedFor(0, `not estimable: no ${name} studies`);
  return n < FEWEST ? bare(k / n, n, `no interval: ${n} ${name}, ${FEWEST} are needed`) : proportion(k, n, '');
}

function tooFew(abnormal, normal) {
  const [name, count] = normal < abnormal ? ['normal', normal] : ['abnormal', abnormal];
  return count < FEWEST ? `no interval: ${count} ${name} ${studyWord(count)}, ${FEWEST} are needed` : '';
}

export function oneClass(abnormal, normal) {
  if (!abnormal && !normal) return 'not estimable: no labelled studies';
  return abnormal && normal ? '' : `not estimable: no ${normal ? 'abnormal' : 'normal'} studies`;
}

const guarded = (found, why) => (why ? bare(found.value, found.n, found.why || why) : found);

// Cohen's kappa with the standard error of Fleiss, Cohen and Everitt (1969).
export function kappa(tp, fp, tn, fn) {
  const n = tp + fp + tn + fn, missing = oneClass(tp + fn, tn + fp);
  if (missing) return undefinedFor(n, missing);
  const share = [[tp / n, fn / n], [fp / n, tn / n]];
  const label = share.map((row) => row[0] + row[1]);
  const call = [share[0][0] + share[1][0], share[0][1] + share[1][1]];
  const expected = label[0] * call[0] + label[1] * call[1];
  const value = (share[0][0] + share[1][1] - expected) / (1 - expected);
  let variance = -((value - expected * (1 - value)) ** 2);
  for (const i of [0, 1]) {
    variance += share[i][i] * (1 - (label[i] + call[i]) * (1 - value)) ** 2;
    variance += (1 - value) ** 2 * share[i][1 - i] * (label[1 - i] + call[i]) ** 2;
  }
  variance /= n * (1 - expected) ** 2;
  const few = tooFew(tp + fn, tn + fp);
  if (variance < 1e-15) return bare(value, n, few || 'no interval: degenerate, the standard error is 0');
  const half = Z * Math.sqrt(variance);
  return guarded({ value, low: Math.max(-1, value - half), high: Math.min(1, value + half), n, why: '' }, few);
}

function ratioInterval(a, m, b, n) {
  const half = Z * Math.sqrt(1 / a - 1 / m + 1 / b - 1 / n), ratio = a / m / (b / n);
  return [ratio * Math.exp(-half), ratio * Math.exp(half)];
}

function fromRatio(value, odds, [a, m, b, n], empty) {
  if (Number.isNaN(value)) return undefinedFor(m + n, `not estimable: ${empty}`);
  // A count of 0 has no logarithm: half a study is added to both, for the interval only.
  const ends = a && b ? ratioInterval(a, m, b, n) : ratioInterval(a + 0.5, m + 1, b + 0.5, n + 1);
  const [low, high] = ends.map((ratio) => (odds * ratio) / (1 + odds * ratio));
  return { value, low: Math.min(low, value), high: Math.max(high, value), n: m + n, why: '' };
}

// PPV, NPV and alerts per 100: at the prevalence of the studies, or (prevalence a number) at a stated one.
export function predictive(tp, fp, tn, fn, prevalence) {
  const abnormal = tp + fn, normal = tn + fp, total = abnormal + normal, missing = oneClass(abnormal, normal);
  let ppv, npv, alerts;
  if (prevalence === null) {
    ppv = proportion(tp, tp + fp, 'no study is called abnormal');
    npv = proportion(tn, tn + fn, 'no study is called normal');
    alerts = proportion(tp + fp, total, 'no labelled studies');
  } else if (missing) {
    ppv = npv = alerts = undefinedFor(total, missing);
  } else {
    const one = proportion(tp, abnormal, ''), two = proportion(fp, normal, ''), rest = 1 - prevalence;
    // The order of the operations is Python's, so that the last bit is too.
    const found = one.value * prevalence, alarm = (1 - tn / normal) * rest;
    const lost = (1 - one.value) * prevalence, cleared = (tn / normal) * rest;
    const odds = prevalence / rest, empty = 'no study is called ';
    ppv = fromRatio(found + alarm > 0 ? found / (found + alarm) : NaN, odds, [tp, abnormal, fp, normal], `${empty}abnormal`);
    npv = fromRatio(cleared + lost > 0 ? cleared / (cleared + lost) : NaN, 1 / odds, [tn, normal, fn, abnormal], `${empty}normal`);
    const value = prevalence * one.value + rest * two.value;
    const down = Math.hypot(prevalence * (one.value - one.low), rest * (two.value - two.low));
    const up = Math.hypot(prevalence * (one.high - one.value), rest * (two.high - two.value));
    alerts = { value, low: value - down, high: value + up, n: total, why: '' };
  }
  alerts = { ...alerts, value: 100 * alerts.value, low: 100 * alerts.low, high: 100 * alerts.high };
  const review = !(ppv.value > 0) ? undefinedFor(ppv.n, ppv.why || 'not estimable: no alert is right')
    : { value: 1 / ppv.value, low: 1 / ppv.high, high: ppv.low > 0 ? 1 / ppv.low : NaN, n: ppv.n, why: ppv.why };
  const few = tooFew(abnormal, normal);
  return {
    ppv: guarded(ppv, few), npv: guarded(npv, few), alerts_per_100: guarded(alerts, few),
    number_needed_to_review: guarded(review, few),
  };
}

export function figures(tp, fp, tn, fn, prevalence = null) {
  return {
    sensitivity: rate(tp, tp + fn, 'abnormal'),
    specificity: rate(tn, tn + fp, 'normal'),
    kappa: kappa(tp, fp, tn, fn),
    ...predictive(tp, fp, tn, fn, prevalence),
  };
}

// A number with its digits; halves go to the even digit, as in Python.
export function fixed(value, digits) {
  const scaled = value * 2 ** (digits + 1);
  if (Number.isInteger(scaled) && scaled % 2 !== 0) {
    const whole = Math.floor(value * 10 ** digits);
    return ((whole % 2 === 0 ? whole : whole + 1) / 10 ** digits).toFixed(digits);
  }
  return value.toFixed(digits);
}

export const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ',');

// The value, and its interval with n; or 'Not estimable' and why: as dashboard.shared.widgets.estimate_text writes them.
export function written(found, kind) {
  if (Number.isNaN(found.value)) {
    return ['Not estimable', found.why.replace(/^not estimable: /, '') || 'no labelled studies'];
  }
  const [factor, digits, unit] = { percent: [100, 1, '%'], number: [1, 1, ''], ratio: [1, 3, ''] }[kind];
  const show = (value) => fixed(factor * value, digits);
  if (Number.isNaN(found.low)) return [show(found.value) + unit, `n = ${grouped(found.n)}; ${found.why || 'no interval'}`];
  return [show(found.value) + unit, `(${show(found.low)}-${show(found.high)}), n = ${grouped(found.n)}`];
}
