/** The four Internet-of-Vehicles tasks: their labels and the rules for the right answers. */
import type { Ground, Weather } from '../scenes/scene.js';

export const vehicleLabels = ['free', 'following', 'close', 'emergency', 'crossing'] as const;
export const weatherLabels = ['sunny', 'night', 'rain', 'snow', 'fog'] as const;
export const roadLabels = ['dry', 'wet', 'icy', 'works', 'blocked'] as const;
export const strategyLabels = ['accelerate', 'keep', 'slow', 'stop', 'yield', 'detour'] as const;
/** km/h; given in the text of the strategy task, never in the picture. */
export const speedLimits = [30, 50, 80, 120] as const;

export type VehicleLabel = (typeof vehicleLabels)[number];
export type WeatherLabel = (typeof weatherLabels)[number];
export type RoadLabel = (typeof roadLabels)[number];
export type StrategyLabel = (typeof strategyLabels)[number];
export type SpeedLimit = (typeof speedLimits)[number];

export const iovTasks = ['vehicle', 'weather', 'road', 'strategy'] as const;
export type IovTask = (typeof iovTasks)[number];

export const labelsOf: Readonly<Record<IovTask, readonly string[]>> = {
  vehicle: vehicleLabels,
  weather: weatherLabels,
  road: roadLabels,
  strategy: strategyLabels,
};

export const weatherLabelOf = (weather: Weather): WeatherLabel => (weather === 'clear' ? 'sunny' : weather);

/** The road depends on the weather: shiny ground is ice in snow or at night, and water otherwise. */
export function roadLabelOf(ground: Ground, weather: WeatherLabel): RoadLabel {
  switch (ground) {
    case 'plain':
      return 'dry';
    case 'shiny':
      return weather === 'snow' || weather === 'night' ? 'icy' : 'wet';
    case 'striped':
      return 'works';
    case 'logs':
      return 'blocked';
    default:
      return ground satisfies never;
  }
}

export interface Situation {
  readonly vehicle: VehicleLabel;
  readonly weather: WeatherLabel;
  readonly road: RoadLabel;
  readonly limit: SpeedLimit;
}

const weatherRisk = { sunny: 0, night: 1, rain: 1, fog: 2, snow: 2 } as const;
const roadRisk = { dry: 0, wet: 1, works: 1, icy: 2 } as const;
const vehicleRisk = { free: 0, following: 1, close: 2 } as const;
const limitRisk = { 30: 0, 50: 1, 80: 2, 120: 3 } as const;

/** The driving strategy: a function of all three parents and of the limit in the text, decided by none of them alone. */
export function decideStrategy({ vehicle, weather, road, limit }: Situation): StrategyLabel {
  if (road === 'blocked') {
    if (vehicle === 'close' || vehicle === 'crossing') return 'stop';
    return limit >= 80 ? 'detour' : 'slow';
  }
  if (vehicle === 'crossing') return road === 'wet' || road === 'icy' || limit >= 80 ? 'stop' : 'yield';
  if (vehicle === 'emergency') return weather === 'fog' || weather === 'night' ? 'stop' : 'yield';
  const risk = weatherRisk[weather] + roadRisk[road] + vehicleRisk[vehicle] + limitRisk[limit];
  return risk <= 2 ? 'accelerate' : risk <= 4 ? 'keep' : 'slow';
}
