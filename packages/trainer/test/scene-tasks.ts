import { buildTaskGraph, type TaskSpec } from '@contextlora/task-graph';

const task = (id: string, dependsOn: string[], instruction: string): TaskSpec => ({
  id,
  dependsOn,
  instruction,
  inputs: ['text'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: {},
});

/** weather → road; vehicle and road → strategy, with slots for the parents' answers. */
export const sceneTasks: TaskSpec[] = [
  task('vehicle', [], 'traffic ?'),
  task('weather', [], 'weather ?'),
  task('road', ['weather'], 'weather {weather} . road ?'),
  task('strategy', ['vehicle', 'road'], '{text} vehicle {vehicle} . road {road} . do ?'),
];

export const sceneGraph = () => buildTaskGraph(sceneTasks);
