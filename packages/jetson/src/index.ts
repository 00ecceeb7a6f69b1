export {
  parseTegrastats,
  type TegrastatsCore,
  type TegrastatsMemory,
  type TegrastatsRail,
  type TegrastatsSample,
  type TegrastatsTemperature,
  type TegrastatsUnit,
} from './parse-tegrastats.js';
export { readTegrastats } from './read-tegrastats.js';
export { type RailPower, totalPower, type TotalPower } from './total-power.js';
