/** What the packages ask of `createRequire`: the icons, and where the files of the scenario are. */
const required = new Map<string, unknown>();

/** Makes a file available under the name that a package asks for. */
export function provide(name: string, value: unknown): void {
  required.set(name, value);
}

export function createRequire() {
  const require = (name: string): unknown => {
    if (!required.has(name)) throw new Error(`${name} is not in the page`);
    return required.get(name);
  };
  require.resolve = (name: string): string => `/${name}`;
  return require;
}
