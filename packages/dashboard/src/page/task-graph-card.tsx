/** The task graph: what is trained, how well, and what a question was answered. */
import { useMemo } from 'preact/hooks';

import type { AnswerView, QuestionView, TaskView } from '../view/run-view.js';
import type { ColourOf } from './colours.js';
import { percent } from './format.js';
import { boxHeight, boxWidth, layOutGraph } from './lay-out-graph.js';

export function TaskGraphCard({
  tasks,
  question,
  selected,
  select,
  colourOf,
}: {
  readonly tasks: readonly TaskView[];
  /** The last that was asked. */
  readonly question: QuestionView | undefined;
  readonly selected: string | undefined;
  readonly select: (task: string) => void;
  readonly colourOf: ColourOf;
}) {
  const shape = JSON.stringify(tasks.map(({ id, dependsOn }) => ({ id, dependsOn })));
  const layout = useMemo(() => layOutGraph(tasks), [shape]);
  return (
    <section aria-labelledby="graph-title">
      <h2 id="graph-title">Task graph</h2>
      <p>A task builds on the answers of the tasks above it. Choose one to see more of it.</p>
      <div class="scroll" tabindex={0} role="region" aria-label="Drawing of the task graph">
        <svg
          width={layout.width}
          height={layout.height}
          viewBox={`0 0 ${layout.width} ${layout.height}`}
          role="group"
          aria-label="Task graph"
        >
          <defs>
            <marker
              id="tip"
              viewBox="0 0 10 10"
              refX="9"
              refY="5"
              markerWidth="8"
              markerHeight="8"
              orient="auto"
            >
              <path d="M0,0 L10,5 L0,10 z" fill="var(--soft)" />
            </marker>
          </defs>
          {layout.arrows.map(({ from, to, points }) => (
            <path
              key={`${from} ${to}`}
              class="edge"
              marker-end="url(#tip)"
              d={points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x},${y}`).join('')}
            />
          ))}
          {tasks.map((task) => {
            const { x = 0, y = 0 } = layout.boxes[task.id] ?? {};
            const answer = question?.answers.find((of) => of.task === task.id);
            const choose = () => {
              select(task.id);
            };
            return (
              <g
                key={task.id}
                class={`node ${task.state} ${task.id === selected ? 'selected' : ''}`}
                transform={`translate(${x - boxWidth / 2} ${y - boxHeight / 2})`}
                role="button"
                tabindex={0}
                aria-pressed={task.id === selected}
                onClick={choose}
                onKeyDown={(event) => {
                  if (event.key !== 'Enter' && event.key !== ' ') return;
                  event.preventDefault();
                  choose();
                }}
              >
                <rect width={boxWidth} height={boxHeight} rx="8" />
                <rect
                  x="8"
                  y="10"
                  width="10"
                  height="10"
                  rx="2"
                  style={{ fill: colourOf(task.id), stroke: 'none' }}
                />
                <text x="26" y="20" font-weight="bold">
                  {shortened(task.id, 17)}
                </text>
                <text x="10" y="36" class="soft">
                  {stateOf(task)}
                </text>
                <text x="10" y="51">
                  {answer ? `→ ${shortened(written(answer), 21)}` : ''}
                </text>
              </g>
            );
          })}
        </svg>
      </div>
      {question && (
        <figure>
          {question.image !== undefined && (
            <img class="scene" src={question.image} alt="The picture of the question" />
          )}
          <figcaption>
            {question.text !== undefined && <>“{question.text}”: </>}the answers to this question stand in the
            boxes, with their probabilities.
          </figcaption>
        </figure>
      )}
    </section>
  );
}

const written = ({ answer, labels }: AnswerView): string => {
  const share = labels?.find(([label]) => label === answer)?.[1];
  return share === undefined ? answer : `${answer} (${percent(share)})`;
};

function stateOf({ state, steps, totalSteps, accuracies }: TaskView): string {
  if (state === 'waiting') return 'waiting';
  if (state === 'training') return `step ${steps} of ${totalSteps ?? '?'}`;
  const accuracy = accuracyShown(accuracies);
  return accuracy === null ? 'trained' : `trained, ${percent(accuracy)}`;
}

/** On the first test set, which is the main one; the latest measurement. */
function accuracyShown(accuracies: TaskView['accuracies']): number | null {
  const main = accuracies.find(({ when }) => when !== 'validation')?.test;
  return accuracies.findLast(({ test }) => test === main)?.accuracy ?? accuracies.at(-1)?.accuracy ?? null;
}

const shortened = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
