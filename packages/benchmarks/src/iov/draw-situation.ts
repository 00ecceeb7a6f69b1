/** Draws road situations with a given answer to one task, so that classes are balanced. */
import type { KeyedRandom } from '@contextlora/lora';

import { emergencyVehicles, ordinaryVehicles, roadsideThings, walkers } from '../scenes/icons.js';
import { grounds, type IconStyle, type Scene, type SceneObject, weathers } from '../scenes/scene.js';
import {
  decideStrategy,
  type IovTask,
  roadLabelOf,
  type Situation,
  speedLimits,
  type VehicleLabel,
  vehicleLabels,
  weatherLabelOf,
} from './iov-labels.js';

export interface DrawnSituation {
  readonly scene: Scene;
  readonly situation: Situation;
  /** The right answer of every task. */
  readonly answers: Readonly<Record<IovTask, string>>;
}

/** Draws until the answer to `task` is `label`; `appearance` keys the details that only the picture adds. */
export function drawSituation(
  task: IovTask,
  label: string,
  { random, style, appearance }: { random: KeyedRandom; style: IconStyle; appearance: string },
): DrawnSituation {
  for (;;) {
    const vehicle = random.pick(vehicleLabels);
    const look = random.pick(weathers);
    const ground = random.pick(grounds);
    const limit = random.pick(speedLimits);
    const weather = weatherLabelOf(look);
    const road = roadLabelOf(ground, weather);
    const situation = { vehicle, weather, road, limit };
    const answers = { vehicle, weather, road, strategy: decideStrategy(situation) };
    if (answers[task] !== label) continue;
    const objects = [...trafficOf(vehicle, random), ...roadside(random)];
    return { situation, answers, scene: { weather: look, ground, objects, style, appearance } };
  }
}

/** The traffic on the road ahead. */
function trafficOf(vehicle: VehicleLabel, random: KeyedRandom): SceneObject[] {
  switch (vehicle) {
    case 'free':
      return [];
    case 'following':
      return [
        {
          icon: random.pick(ordinaryVehicles),
          x: 32 + random.between(-5, 5),
          y: random.between(28, 35),
          sizePixels: random.between(11, 15),
        },
      ];
    case 'close':
      return [
        {
          icon: random.pick(ordinaryVehicles),
          x: 32 + random.between(-7, 7),
          y: random.between(42, 50),
          sizePixels: random.between(23, 30),
        },
      ];
    case 'emergency':
      return [
        {
          icon: random.pick(emergencyVehicles),
          x: 32 + random.between(-10, 10),
          y: random.between(32, 50),
          sizePixels: random.between(15, 28),
        },
      ];
    case 'crossing':
      return [
        {
          icon: random.pick(walkers),
          x: 32 + random.between(-12, 12),
          y: random.between(34, 52),
          sizePixels: random.between(14, 24),
        },
      ];
    default:
      return vehicle satisfies never;
  }
}

/** Distractions at the roadside: things, and parked vehicles that are not traffic ahead. */
function roadside(random: KeyedRandom): SceneObject[] {
  return Array.from({ length: random.integer(3) }, () => {
    const left = random.next() < 0.5;
    const kinds = random.next() < 0.35 ? ordinaryVehicles : roadsideThings;
    return {
      icon: kinds[random.integer(kinds.length)] ?? kinds[0],
      x: left ? 4 + 6 * random.next() : 54 + 6 * random.next(),
      y: 26 + 16 * random.next(),
      sizePixels: 10 + 5 * random.next(),
    };
  });
}
