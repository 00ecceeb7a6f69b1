/** The ranks of every linear, by task, and what each phase does with them. */
import { useState } from 'preact/hooks';

import type { LinearView, PhaseView, TaskView } from '../view/run-view.js';
import type { ColourOf } from './colours.js';

const roles = { train: 'trained', freeze: 'frozen: used, not changed', mask: 'masked: not used' } as const;
type Role = keyof typeof roles;

export function PartitionCard({
  tasks,
  phases,
  linears,
  colourOf,
}: {
  readonly tasks: readonly TaskView[];
  readonly phases: readonly PhaseView[];
  readonly linears: readonly LinearView[];
  readonly colourOf: ColourOf;
}) {
  const running = phases.findIndex(({ hasEnded }) => !hasEnded);
  const trainings = phases.flatMap((phase, index) => phase.tasks.map((task) => ({ task, index })));
  const first = trainings.find(({ index }) => index === running) ?? trainings.at(-1);
  const [chosen, choose] = useState<string>();
  const training = trainings.find(({ task }) => task === chosen) ?? first;
  const roleOf = (task: string): Role =>
    (training && phases[training.index]?.roles[training.task]?.[task]) ?? 'mask';
  const ranks = Math.max(1, ...linears.flatMap(({ spans }) => Object.values(spans).map(({ end }) => end)));
  const isNamed = linears.length <= 60;
  const rowHeight = isNamed ? 13 : Math.max(3, 480 / linears.length);
  const left = isNamed ? 118 : 0;
  const height = rowHeight * linears.length;
  /** As wide as there is room for, beside the names. */
  const widthOf = (count: number) => `(100% - ${left}px) * ${count / ranks}`;
  return (
    <section aria-labelledby="partition-title">
      <h2 id="partition-title">Partition</h2>
      <p>
        The {ranks} ranks of each of {linears.length} linears, from the input (top) to the output, by task.
      </p>
      <fieldset>
        <legend>While this task trains</legend>
        {trainings.map(({ task, index }) => (
          <label key={task}>
            <input
              type="radio"
              name="phase"
              checked={task === training?.task}
              onChange={() => {
                choose(task);
              }}
            />{' '}
            {index + 1}. {task}
          </label>
        ))}
      </fieldset>
      <svg
        width="100%"
        height={height + 20}
        role="img"
        aria-label={`While ${training?.task ?? 'nothing'} trains: ${tasks.map(({ id }) => `${id} ${roles[roleOf(id)]}`).join('; ')}`}
      >
        <defs>
          <pattern
            id="frozen"
            width="6"
            height="6"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect width="3" height="6" fill="var(--card)" fill-opacity="0.75" />
          </pattern>
        </defs>
        {isNamed &&
          linears.map(({ name }, row) => (
            <text key={name} y={(row + 1) * rowHeight - 3} style={{ fontSize: '10px' }}>
              {nameOf(name)}
            </text>
          ))}
        {linears.map(({ name, spans }, row) =>
          tasks.map(({ id }) => {
            const span = spans[id];
            if (!span || span.end === span.start) return null;
            const role = roleOf(id);
            const place = {
              y: row * rowHeight,
              height: Math.max(2, rowHeight - 1),
              style: {
                x: `calc(${left}px + ${widthOf(span.start)})`,
                width: `calc(${widthOf(span.end - span.start)})`,
              },
            };
            return (
              <g key={`${name} ${id}`}>
                <title>
                  {name}: ranks {span.start} to {span.end - 1} of {id}
                </title>
                <rect {...place} fill={colourOf(id)} fill-opacity={role === 'mask' ? 0.12 : 1} />
                {role === 'freeze' && <rect {...place} fill="url(#frozen)" />}
              </g>
            );
          }),
        )}
        <text x={left} y={height + 15} class="soft">
          rank 0
        </text>
        <text x="100%" y={height + 15} class="soft" text-anchor="end">
          {ranks - 1}
        </text>
      </svg>
      <ul class="key">
        {tasks.map(({ id }) => (
          <li key={id}>
            <i style={{ background: colourOf(id) }} />
            {id}: {roles[roleOf(id)]}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** `layers.3 q_proj` of a long name. */
function nameOf(linear: string): string {
  const parts = linear.split('.');
  const number = parts.findIndex((part) => /^\d+$/.test(part));
  return number < 0
    ? (parts.at(-2) ?? linear).slice(0, 19)
    : `layer ${parts[number] ?? ''} ${parts.at(-1) ?? ''}`;
}
