/** The parts of the runtime that need packages which not everybody installs. */
import { CliError } from '../cli-error.js';

/** @throws CliError if a package is missing. */
async function load<T>(importing: Promise<T>): Promise<T> {
  try {
    return await importing;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new CliError(
      'CLI_MACHINE_UNSUPPORTED',
      'cluster',
      `a package that clusters need is not installed; install without --omit=optional (${(cause as Error).message})`,
      { cause },
    );
  }
}

export const loadNats = () => load(import('@contextlora/runtime/nats'));
export const loadSecurity = () => load(import('@contextlora/runtime/security'));
export const loadGrpc = () => load(import('@contextlora/runtime/grpc'));
