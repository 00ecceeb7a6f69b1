/** Telling a user's mistake from a defect of ours. */

/**
 * Whether an error is meant for the user: every message of ours that is starts with `package/function:`, as in
 * `model/loadModel: …`. Anything else is a defect and keeps its stack trace.
 */
export function isUserError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /^(task-graph|lora|kernels|model|trainer|benchmarks|scheduler|jetson|contextlora)\/\w+: /.test(
      error.message,
    )
  );
}
