/** A model directory that cannot be used; the message says what is wrong and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(where: string, what: string, options?: ErrorOptions) {
    super(`model/${where}: ${what}`, options);
  }
}
