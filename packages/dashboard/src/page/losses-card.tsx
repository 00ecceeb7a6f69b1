/** The loss of every task, step by step. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

import type { TaskView } from '../view/run-view.js';
import type { ColourOf } from './colours.js';

/** Points on each side of one that its mean takes in. */
const around = 7;

export function LossesCard({
  tasks,
  colourOf,
}: {
  readonly tasks: readonly TaskView[];
  readonly colourOf: ColourOf;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const known = tasks.filter(({ losses }) => losses.length > 0);
  const names = known.map(({ id }) => id).join(' ');
  useEffect(() => {
    const parent = place.current;
    if (!parent || known.length === 0) return undefined;
    const ink = getComputedStyle(document.body).color;
    const axis = {
      stroke: ink,
      grid: { stroke: 'rgba(128,128,128,0.25)' },
      ticks: { stroke: 'rgba(128,128,128,0.5)' },
    };
    const made = new uPlot(
      {
        width: parent.clientWidth,
        height: 300,
        scales: { x: { time: false } },
        axes: [
          { ...axis, label: 'step of its phase' },
          { ...axis, label: `loss (nats), mean of ${2 * around + 1} points` },
        ],
        series: [
          { label: 'step' },
          ...known.map(({ id }) => ({
            label: id,
            stroke: colourOf(id),
            width: 1.5,
            spanGaps: true,
          })),
        ],
      },
      alignedLosses(known),
      parent,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => {
      made.setSize({ width: parent.clientWidth, height: 300 });
    });
    watch.observe(parent);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => {
    plot.current?.setData(alignedLosses(known));
  }, [tasks]);
  return (
    <section aria-labelledby="losses-title">
      <h2 id="losses-title">Losses</h2>
      {known.length === 0 ? (
        <p>No step is recorded yet.</p>
      ) : (
        <>
          <div ref={place} aria-hidden="true" />
          <details>
            <summary>As a table</summary>
            <table>
              <thead>
                <tr>
                  <th scope="col">task</th>
                  <th scope="col" class="number">
                    steps
                  </th>
                  <th scope="col" class="number">
                    first loss
                  </th>
                  <th scope="col" class="number">
                    last loss
                  </th>
                </tr>
              </thead>
              <tbody>
                {known.map(({ id, steps, losses }) => (
                  <tr key={id}>
                    <td>{id}</td>
                    <td class="number">{steps}</td>
                    <td class="number">{losses[0]?.loss.toFixed(3)}</td>
                    <td class="number">{losses.at(-1)?.loss.toFixed(3)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </>
      )}
    </section>
  );
}

/** One column of steps, and for each task a column with gaps. */
function alignedLosses(tasks: readonly TaskView[]): uPlot.AlignedData {
  const steps = [...new Set(tasks.flatMap(({ losses }) => losses.map(({ step }) => step)))].sort(
    (a, b) => a - b,
  );
  const columns = tasks.map(({ losses }) => {
    const at = new Map(
      losses.map(({ step }, index) => {
        const near = losses.slice(Math.max(0, index - around), index + around + 1);
        return [step, near.reduce((sum, { loss }) => sum + loss, 0) / near.length];
      }),
    );
    return steps.map((step) => at.get(step));
  });
  return [steps, ...columns] as uPlot.AlignedData;
}
