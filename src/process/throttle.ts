/** How long a throttle rests after each report. */
const INTERVAL_MS = 1000;

/**
 * Returns a function that calls `report`: at its first call at once, then at most once a second.
 * `report` gets the value of the latest call, and how many calls it stands for.
 *
 * @example
 *     const refused = createThrottle((address: string, count) => console.log(address, count));
 */
export function createThrottle<T>(report: (latest: T, count: number) => void): (value: T) => void {
  let waiting: { readonly latest: T; readonly count: number } | undefined;
  let isResting = false;
  const send = (): void => {
    isResting = waiting !== undefined;
    if (waiting === undefined) return;
    const { latest, count } = waiting;
    waiting = undefined;
    setTimeout(send, INTERVAL_MS).unref();
    report(latest, count);
  };
  return (value) => {
    waiting = { latest: value, count: (waiting?.count ?? 0) + 1 };
    if (!isResting) send();
  };
}
