/** The one error class of this package. */

export type DashboardErrorCode =
  /** A file is not what it should be; the message names it. */
  | 'DASHBOARD_FILE_INVALID'
  /** The page cannot be served at the address that was asked for. */
  | 'DASHBOARD_ADDRESS_UNUSABLE';

/** An error for the caller to handle; the message reads `dashboard/where: what`. */
export class DashboardError extends Error {
  override readonly name = 'DashboardError';
  readonly code: DashboardErrorCode;

  constructor(code: DashboardErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`dashboard/${where}: ${what}`, options);
    this.code = code;
  }
}
