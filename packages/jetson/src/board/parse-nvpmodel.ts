/** The power modes defined in a board's nvpmodel configuration. */

export interface NvpmodelMode {
  readonly id: number;
  readonly name: string;
  readonly isDefault: boolean;
  /** CPU cores that stay on; absent if the mode does not set them. */
  readonly onlineCores?: number;
  /** Limit of the GPU clock; absent if there is none. */
  readonly gpuMaxHertz?: number;
}

/** Parses `/etc/nvpmodel.conf`; other text gives no modes. */
export function parseNvpmodelModes(text: string): NvpmodelMode[] {
  const modes: { id: number; name: string; cores?: number; gpuHertz?: number }[] = [];
  let defaultId: number | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#')) continue;
    const [, id, name] = /^<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>/.exec(line) ?? [];
    if (name !== undefined) {
      modes.push({ id: Number(id), name });
      continue;
    }
    const [, preset] = /^<\s*PM_CONFIG\s+DEFAULT=(\S+)\s*>/.exec(line) ?? [];
    if (preset !== undefined)
      defaultId = /^\d+$/.test(preset) ? Number(preset) : modes.find((mode) => mode.name === preset)?.id;
    const mode = modes.at(-1);
    const [part, setting, value = ''] = line.split(/\s+/);
    if (!mode || !/^-?\d+$/.test(value)) continue;
    if (part === 'CPU_ONLINE') mode.cores = (mode.cores ?? 0) + Number(value);
    // -1 means no limit.
    if (part === 'GPU' && setting === 'MAX_FREQ' && Number(value) > 0) mode.gpuHertz = Number(value);
  }
  return modes.map(({ id, name, cores, gpuHertz }) => ({
    id,
    name,
    isDefault: id === defaultId,
    ...(cores !== undefined && { onlineCores: cores }),
    ...(gpuHertz !== undefined && { gpuMaxHertz: gpuHertz }),
  }));
}
