/** The segments of the runs that have ended, beside each other. */
import type { StartMessage } from '../messages.js';
import { duration } from '@contextlora/dashboard/cards';

export interface EndedRun {
  readonly options: StartMessage;
  /** Task → SHA-256. */
  readonly hashes: Readonly<Record<string, string>>;
  readonly seconds: number;
}

export function BlastCard({ runs }: { readonly runs: readonly EndedRun[] }) {
  const last = runs.at(-1);
  if (!last) return null;
  const { effort, seed } = last.options;
  const first = runs.find(
    ({ options }) => options !== last.options && options.effort === effort && options.seed === seed,
  );
  return (
    <table>
      <caption>
        SHA-256 of each segment after {duration(last.seconds)}
        {last.options.corrupted === undefined ? '' : `, with wrong labels in ${last.options.corrupted}`}
        {first && ', beside the first run with this seed'}
      </caption>
      <tbody>
        {Object.entries(last.hashes).map(([task, hash]) => (
          <tr key={task}>
            <th scope="row">{task}</th>
            <td>
              <code title={hash}>{hash.slice(0, 16)}…</code>
            </td>
            {first && (
              <td class={hash === first.hashes[task] ? 'good' : 'bad'}>
                {hash === first.hashes[task] ? 'the same bytes' : 'other bytes'}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
