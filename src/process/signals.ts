/** The signals that stop the service. */
export const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * How long the same signal counts as a repeat, in ms. On Ctrl-C a terminal sends a signal to npm
 * and to the service, and npm sends its own to the service, too.
 */
const REPEAT_MS = 500;

/** Calls `onFirst` with the first stop signal, and `onSecond` with each later one but a repeat. */
export function handleStopSignals(onFirst: () => void, onSecond: () => void): void {
  let first: NodeJS.Signals | undefined;
  let firstTime = 0;
  const handle = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === undefined) {
      first = signal;
      firstTime = now;
      onFirst();
      return;
    }
    const isRepeat = signal === first && now - firstTime < REPEAT_MS;
    if (!isRepeat) onSecond();
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handle);
}

/**
 * Keeps SIGUSR1 from opening Node's debugger, with which every user of this machine could run code
 * in this process. Node only does so while the signal has no handler.
 */
export function disableDebugger(): void {
  process.on("SIGUSR1", () => {});
}
