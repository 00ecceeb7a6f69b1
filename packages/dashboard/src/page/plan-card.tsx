/** The plan for a cluster, and what would change it. All of it is simulated. */
import { drawGanttSvg, runChart } from '@contextlora/scheduler/views';
import { useMemo, useRef, useState } from 'preact/hooks';

import type { PlanView } from '../view/run-view.js';
import { type AskedPlan, askPlanner } from './ask-planner.js';
import { bytes, duration } from './format.js';

export function PlanCard({ view }: { readonly view: PlanView }) {
  const [changes, setChanges] = useState('');
  const [changed, setChanged] = useState<PlanView & { readonly changes: string }>();
  const [problem, setProblem] = useState<string>();
  const [isPlanning, setPlanning] = useState(false);
  const asked = useRef<AskedPlan>(null);
  const { workloads, cluster, plan } = view;

  const ask = async (wanted: string) => {
    if (!workloads) return;
    asked.current?.stop();
    setPlanning(true);
    setProblem(undefined);
    const mine = askPlanner({ workloads, cluster, changes: wanted });
    asked.current = mine;
    const answer = await mine.answer;
    if (asked.current !== mine) return;
    setPlanning(false);
    if ('problem' in answer) setProblem(answer.problem);
    else setChanged({ ...answer, changes: wanted });
  };
  const stop = () => {
    asked.current?.stop();
    asked.current = null;
    setPlanning(false);
  };
  const media = [...new Set(cluster.links.flatMap(({ medium }) => medium ?? []))];
  return (
    <section class="wide" aria-labelledby="plan-title">
      <h2 id="plan-title">Plan (simulated)</h2>
      <Totals view={view} />
      <Gantt view={view} />
      {workloads ? (
        <>
          <h2>What if?</h2>
          <p>
            Separate changes by commas: <code>drop DEVICE</code>, <code>DEVICE.memory=2GiB</code>,{' '}
            <code>DEVICE.speed=0.5</code>
            {media.map((medium) => (
              <>
                , <code>{medium}=50Mbit</code>
              </>
            ))}
            .
          </p>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void ask(changes.trim());
            }}
          >
            <label>
              <span>Changes</span>
              <input
                class="wide"
                type="text"
                value={changes}
                placeholder={`drop ${cluster.devices.at(-1)?.id ?? ''}`}
                onInput={({ currentTarget }) => {
                  setChanges(currentTarget.value);
                }}
              />
            </label>
            <button class="main" disabled={isPlanning || changes.trim() === ''}>
              Plan again
            </button>
            {isPlanning && (
              <button type="button" onClick={stop}>
                Stop
              </button>
            )}
          </form>
          <p role="status">{isPlanning ? 'Planning in this page…' : ''}</p>
          {problem !== undefined && (
            <p class="bad" role="alert">
              {problem}
            </p>
          )}
          {changed && (
            <>
              <p>
                With <code>{changed.changes}</code>: {duration(changed.plan.totalSeconds)} instead of{' '}
                {duration(plan.totalSeconds)}, {(changed.plan.totalSeconds / plan.totalSeconds).toFixed(2)}{' '}
                times as long.
              </p>
              <Totals view={changed} />
              <Gantt view={changed} />
            </>
          )}
        </>
      ) : (
        <p>
          This file has no workloads, so nothing can be planned again: make one with{' '}
          <code>contextlora plan --json</code>.
        </p>
      )}
    </section>
  );
}

function Totals({ view: { plan, cluster } }: { readonly view: PlanView }) {
  const { totalSeconds, totalJoules, totalBytes, explanation } = plan;
  const unused = explanation.unused.map(({ device, reason }) => `${device} (${reason})`);
  return (
    <p>
      {duration(totalSeconds)} of training on {cluster.devices.length} devices, {bytes(totalBytes)} sent
      {totalJoules ? `, ${(totalJoules / 3600).toFixed(1)} Wh` : ''}. Longest chain:{' '}
      {explanation.criticalPath.join(' → ')}.{unused.length > 0 ? ` Not used: ${unused.join(', ')}.` : ''}
    </p>
  );
}

function Gantt({ view: { plan, cluster } }: { readonly view: PlanView }) {
  const [zoom, setZoom] = useState(1);
  const svg = useMemo(
    () => drawGanttSvg(runChart(plan, cluster), { widthPixels: 1100 * zoom }),
    [plan, cluster, zoom],
  );
  return (
    <>
      <label>
        <span>Zoom</span>
        <input
          type="range"
          min="1"
          max="12"
          step="1"
          value={zoom}
          onInput={({ currentTarget }) => {
            setZoom(Number(currentTarget.value));
          }}
        />
      </label>
      {/* Reached by the keyboard, so that it can be scrolled. */}
      <div class="scroll" tabindex={0} role="region" aria-label="Gantt chart">
        {/* Made here, with every text escaped. */}
        <div class="paper" dangerouslySetInnerHTML={{ __html: svg }} />
      </div>
    </>
  );
}
