/** Configuration files and single settings, read and checked. */
import { readFile } from 'node:fs/promises';

import { checkYaml } from '@contextlora/task-graph';
import * as z from 'zod';

import { FinetuneError } from '../finetune-error.js';
import { type TrainConfig, trainConfigSchema } from './train-config.js';

/**
 * Parses a configuration (YAML), given as text or as the bytes of a UTF-8 file; `file` is its name in messages.
 *
 * @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`) listing every problem with its line: unknown and repeated keys, wrong values.
 */
export function parseTrainConfig(
  source: string | Uint8Array,
  { file = 'train.yaml' }: { readonly file?: string } = {},
): TrainConfig {
  const schema = trainConfigSchema();
  const checked = checkYaml(source, schema, {
    kind: 'a configuration file',
    keysAt: (path) => (path.length === 0 ? Object.keys(schema.shape) : ['from', 'to']),
  });
  if ('value' in checked) return checked.value;
  const problems = checked.problems.map(
    ({ line, column, message }) => `${file}:${line}:${column}: ${message}`,
  );
  throw new FinetuneError(
    'FINETUNE_SETTINGS_INVALID',
    'parseTrainConfig',
    [
      `${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
      ...problems.map((line) => `  ${line}`),
    ].join('\n'),
    { problems },
  );
}

/** Reads a configuration file. @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`), also when the file cannot be read. */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  const source = await readFile(path).catch((cause: unknown) => {
    throw new FinetuneError(
      'FINETUNE_SETTINGS_INVALID',
      'readTrainConfig',
      `cannot read the configuration file ${path}; is the path right?`,
      { cause },
    );
  });
  return parseTrainConfig(source, { file: path });
}

/** A setting that a flag can give: its key, and what it says in words. */
export interface SettingFlag {
  readonly key: keyof TrainConfig;
  readonly description: string;
  /** Whether the flag alone means true. */
  readonly isSwitch: boolean;
  /** Reads a value as the file would have it (YAML), or says what is wrong with it. */
  readonly read: (source: string) => { readonly value: unknown } | { readonly problem: string };
}

/** Flags that alone mean true. */
const switches: ReadonlySet<keyof TrainConfig> = new Set(['promptLoss', 'chatTemplate', 'nesterov'] as const);

/** One flag per key of the schema. */
export function settingFlags(): SettingFlag[] {
  return Object.entries(trainConfigSchema().shape).map(([name, schema]) => {
    const key = name as keyof TrainConfig;
    return {
      key,
      description: schema.description ?? '',
      isSwitch: switches.has(key),
      read(source) {
        const one = z.strictObject({ [key]: schema });
        const checked = checkYaml(`${key}: ${source}`, one, {
          kind: 'a value',
          keysAt: () => ['from', 'to'],
        });
        if ('value' in checked) return { value: checked.value[key] };
        return {
          problem: checked.problems.map(({ message }) => message.replace(`"${key}": `, '')).join('; '),
        };
      },
    };
  });
}
