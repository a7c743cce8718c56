/** The signals that stop the service. */
export const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;
