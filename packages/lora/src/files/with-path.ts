/** For `catch`: throws a system error again with the path of its file, because the system does not say which file a write was for. */
export const withPath =
  (path: string) =>
  (error: unknown): never => {
    throw error instanceof Error && 'syscall' in error ? Object.assign(error, { path }) : error;
  };
