/** Which board this is, its Jetson Linux release and its power mode. */
import { type CommandRunner, type FileTree, readText } from '../file-tree.js';
import { parseNvpmodelModes } from './parse-nvpmodel.js';

export interface Board {
  /** From the device tree, else the processor's name. */
  readonly model?: string;
  /** For example `tegra234`; absent on other machines. */
  readonly soc?: string;
  /** For example `p3767-0003`. */
  readonly module?: string;
  /** For example `R36.4.4`. */
  readonly l4tRelease?: string;
  /** Major version, 4 to 7. */
  readonly jetPack?: number;
  readonly powerMode?: { readonly id: number; readonly name?: string };
  /** Names from nvpmodel's configuration, since ids differ from board to board. */
  readonly powerModes?: readonly string[];
}

/** Major release of Jetson Linux → JetPack. */
const jetPackOf: Readonly<Record<string, number>> = { 32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7 };

/** Reads the device tree, the release file and nvpmodel's files; asks `nvpmodel -q` where its status file cannot be read. */
export async function readBoard(tree: FileTree, run?: CommandRunner): Promise<Board> {
  const model =
    (await readText(tree, '/proc/device-tree/model')) ??
    (await readText(tree, '/sys/firmware/devicetree/base/model')) ??
    (await processorName(tree));
  const compatible = (await tree.read('/proc/device-tree/compatible'))?.split('\0') ?? [];
  const soc = compatible.map((entry) => /tegra\d{3}/.exec(entry)?.[0]).find((name) => name !== undefined);
  const module = await moduleOf(tree, compatible);
  const release = /R(\d+)[^,]*,\s*REVISION:\s*([\d.]+)/.exec(
    (await readText(tree, '/etc/nv_tegra_release')) ?? '',
  );
  const jetPack = jetPackOf[release?.[1] ?? ''];
  const modes = parseNvpmodelModes((await tree.read('/etc/nvpmodel.conf')) ?? '');
  const powerMode = await modeOf(tree, modes, run);
  return {
    ...(model !== undefined && { model }),
    ...(soc !== undefined && { soc }),
    ...(module !== undefined && { module }),
    ...(release && { l4tRelease: `R${release[1] ?? ''}.${release[2] ?? ''}` }),
    ...(jetPack !== undefined && { jetPack }),
    ...(powerMode && { powerMode }),
    ...(modes.length > 0 && { powerModes: modes.map(({ name }) => name) }),
  };
}

async function processorName(tree: FileTree): Promise<string | undefined> {
  const info = (await tree.read('/proc/cpuinfo')) ?? '';
  return /^(?:model name|Hardware|Model)\s*:\s*(.+)$/m.exec(info)?.[1]?.trim();
}

async function moduleOf(tree: FileTree, compatible: readonly string[]): Promise<string | undefined> {
  const texts = [
    await readText(tree, '/proc/device-tree/nvidia,boardids'),
    await readText(tree, '/proc/device-tree/nvidia,dtsfilename'),
    // `carrier+module`
    compatible.join(' ').replace(/p\d{4}-\d{4}\S*?\+/g, ''),
  ];
  return texts.map((text) => /p\d{4}-\d{4}/.exec(text ?? '')?.[0]).find((found) => found !== undefined);
}

async function modeOf(
  tree: FileTree,
  modes: readonly { readonly id: number; readonly name: string }[],
  run: CommandRunner | undefined,
): Promise<Board['powerMode']> {
  const [, status] = /pmode:(\d+)/.exec((await readText(tree, '/var/lib/nvpmodel/status')) ?? '') ?? [];
  if (status !== undefined) {
    const id = Number(status);
    const name = modes.find((mode) => mode.id === id)?.name;
    return { id, ...(name !== undefined && { name }) };
  }
  if (modes.length === 0) return undefined;
  const [, name, id] = /NV Power Mode:\s*(\S+)\s+(\d+)/.exec((await run?.('nvpmodel', ['-q'])) ?? '') ?? [];
  return name === undefined ? undefined : { id: Number(id), name };
}
