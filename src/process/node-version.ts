/** Why a version of Node is not a good one to run on. */
export interface NodeVersionProblem {
  /** One line, for stderr. */
  readonly message: string;
  /** Whether the service cannot run at all. If not, it runs and warns once. */
  readonly isFatal: boolean;
}

/** [major, minor, patch] */
type Version = readonly [number, number, number];

/** The first release that has crypto.hash(). */
const FIRST_POSSIBLE: Version = [20, 12, 0];

/**
 * The first good release of each line, measured with Node's own JSON.parse(). In earlier ones, an
 * array of 90,000 chosen strings of 7 digits takes 5 to 15 times as long to parse as one of others,
 * because the hashes of numbers in strings collide.
 */
const FIRST_GOOD: readonly Version[] = [
  [20, 20, 2],
  [22, 22, 2],
  [24, 14, 1],
  [25, 8, 2],
];

/** All releases of this line and of later ones are good. */
const FIRST_GOOD_LINE = 26;

const ADVICE = "use 20.20.2, 22.22.2, 24.14.1, 26.0.0 or a later release of these lines";

/**
 * The problem with a version, such as "20.20.1"; undefined if there is none. `engines` in
 * package.json says the same.
 */
export function nodeVersionProblem(text: string): NodeVersionProblem | undefined {
  const version = parse(text);
  const [major] = version;
  const name = `Node ${text}`;
  if (compare(version, FIRST_POSSIBLE) < 0) {
    return { message: `${name} is too old to run this service: ${ADVICE}`, isFatal: true };
  }
  if (major >= FIRST_GOOD_LINE) return undefined;
  const firstGood = FIRST_GOOD.find(([line]) => line === major);
  if (firstGood !== undefined && compare(version, firstGood) >= 0) return undefined;
  return { message: `${name} parses some JSON bodies very slowly: ${ADVICE}`, isFatal: false };
}

function parse(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split(".").map((part) => Number.parseInt(part));
  return [major, minor, patch];
}

/** Negative if `a` is earlier, positive if it is later. */
function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
