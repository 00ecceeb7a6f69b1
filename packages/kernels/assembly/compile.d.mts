/** Compiles the wasm module from its AssemblyScript sources. */
export function compileWasm(): Promise<Uint8Array>;
/** The TypeScript file that carries the bytes. */
export function sourceOf(bytes: Uint8Array): string;
