/**
 * Jetson boards as published; where you have measured rates, schedule with those.
 *
 * FP32 peak = cores × 2 × clock. Dense FP16 peak = 8 × FP32 on tensor cores (Volta, Ampere), else 2 × FP32.
 */
import { JetsonError } from '../jetson-error.js';
import { type BoardRow, boardTable, type Figure, type ModeRow } from './board-table.js';
import { type Source, sources } from './sources.js';

/** A figure and its source. */
export interface PublishedNumber extends Source {
  readonly value: number;
}

/** A mode of nvpmodel. */
export interface PublishedMode {
  readonly name: string;
  readonly isDefault: boolean;
  /** The mode's power budget; absent if it has none. */
  readonly watts?: PublishedNumber;
  readonly gpuMegahertz: PublishedNumber;
  /** GPU cores that the mode leaves on. */
  readonly gpuCores: PublishedNumber;
}

export interface PublishedProfile {
  readonly id: string;
  readonly name: string;
  readonly gpu: {
    readonly architecture: BoardRow['architecture'];
    readonly cores: PublishedNumber;
    readonly megahertz: PublishedNumber;
    /** Dense, at the highest clock. */
    readonly fp16FlopsPerSecond: PublishedNumber;
  };
  readonly memoryBytes: PublishedNumber;
  /** What the operating system reports as total. */
  readonly usableMemoryBytes?: PublishedNumber;
  readonly memoryBytesPerSecond: PublishedNumber;
  readonly modes: readonly PublishedMode[];
}

/** The Jetson family, smallest board first. */
export const publishedProfiles: readonly PublishedProfile[] = boardTable.map(profileOf);

/**
 * Returns the profile with an id.
 *
 * @throws JetsonError, listing the boards, if there is none.
 */
export function publishedProfile(id: string): PublishedProfile {
  const profile = publishedProfiles.find((candidate) => candidate.id === id);
  if (profile) return profile;
  throw new JetsonError(
    'JETSON_BOARD_UNKNOWN',
    'publishedProfile',
    `there is no board "${id}"; boards are ${boardList()}`,
  );
}

/** The ids of all boards, for messages. */
export const boardList = (): string => publishedProfiles.map(({ id }) => id).join(', ');

function published(value: number, { source, verified }: Source): PublishedNumber {
  return { value, source, verified };
}

function profileOf(row: BoardRow): PublishedProfile {
  const { id, name, architecture, teraflops, usableMegabytes } = row;
  const boardSource = sources[row.source];
  const modeSource = row.nvpmodel ? nvpmodelSource(row.nvpmodel) : boardSource;
  const cite = (figure: Figure): PublishedNumber => {
    if (typeof figure === 'number') return published(figure, boardSource);
    const [value, source] = figure;
    return published(value, source === 'nvpmodel' ? modeSource : sources[source]);
  };
  const [cores, megahertz] = [cite(row.cores), cite(row.megahertz)];
  return {
    id,
    name,
    gpu: {
      architecture,
      cores,
      megahertz,
      fp16FlopsPerSecond:
        teraflops === undefined
          ? tensorCorePeak(cores, megahertz)
          : published(cite(teraflops).value * 1e12, cite(teraflops)),
    },
    memoryBytes: published(row.gigabytes * 2 ** 30, boardSource),
    ...(usableMegabytes !== undefined && {
      usableMemoryBytes: published(usableMegabytes * 2 ** 20, sources.reported),
    }),
    memoryBytesPerSecond: published(row.gigabytesPerSecond * 1e9, boardSource),
    modes: row.modes.map((mode, index) => modeOf(mode, index === 0, megahertz, modeSource)),
  };
}

/** 8 × FP32 = 8 × 2 × cores × clock */
function tensorCorePeak(
  cores: PublishedNumber,
  { value, source, verified }: PublishedNumber,
): PublishedNumber {
  return published(8 * 2 * cores.value * value * 1e6, {
    source: `8 × 2 × cores × clock; clock: ${source}`,
    verified,
  });
}

function nvpmodelSource({ device, file, verified }: NonNullable<BoardRow['nvpmodel']>): Source {
  return {
    source: `nvpmodel_${file}.conf in https://github.com/LineageOS/android_device_nvidia_${device}`,
    verified,
  };
}

function modeOf(
  [name, watts, cores, megahertz]: ModeRow,
  isDefault: boolean,
  highestClock: PublishedNumber,
  source: Source,
): PublishedMode {
  return {
    name,
    isDefault,
    // The file states a budget only in a mode's name.
    ...(watts !== undefined && {
      watts: published(watts, name.includes(`${watts}W`) ? source : sources.quoted),
    }),
    gpuMegahertz: megahertz === undefined ? highestClock : published(megahertz, source),
    gpuCores: published(cores, source),
  };
}
