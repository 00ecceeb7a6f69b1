/** The text of a YAML file, decoded and parsed, or what is wrong with it. */
import { decodeText, encodingProblem } from './decode-text.js';
import { readYaml, type YamlFile } from './read-yaml.js';
import type { TaskFileProblem } from './task-graph-error.js';

const maximumBytes = 1024 * 1024;

/** Opens a file given as text or as the bytes of a UTF-8 file; `kind` names it in messages, as in "a task file". */
export function openYaml(
  source: string | Uint8Array,
  { kind }: { readonly kind: string },
): { readonly yaml: YamlFile } | { readonly problems: readonly TaskFileProblem[] } {
  if (source.length > maximumBytes) {
    const unit = typeof source === 'string' ? 'characters' : 'bytes';
    return {
      problems: [
        { line: 1, column: 1, message: `${source.length} ${unit}; ${kind} has at most ${maximumBytes}` },
      ],
    };
  }
  const text = typeof source === 'string' ? (encodingProblem(source) ?? source) : decodeText(source);
  if (typeof text !== 'string') return { problems: [{ ...text, column: 1 }] };
  const yaml = readYaml(text);
  return yaml.problems.length === 0
    ? { yaml }
    : { problems: yaml.problems.map(({ offset, message }) => ({ ...yaml.positionOf(offset), message })) };
}
