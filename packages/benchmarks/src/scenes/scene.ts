/** A road scene as a plain value: everything a picture is drawn from, and nothing drawn yet. */

export type Weather = 'clear' | 'night' | 'rain' | 'snow' | 'fog';
/** How the ground looks; what a driver calls it is the tasks' business. */
export type Ground = 'plain' | 'shiny' | 'striped' | 'logs';
export type IconStyle = 'noto' | 'fluent';

export const weathers: readonly Weather[] = ['clear', 'night', 'rain', 'snow', 'fog'];
export const grounds: readonly Ground[] = ['plain', 'shiny', 'striped', 'logs'];

export interface SceneObject {
  /** Icon name, the same in every icon set. */
  readonly icon: string;
  /** Centre and size in pixels of the 64 × 64 picture. */
  readonly x: number;
  readonly y: number;
  readonly sizePixels: number;
}

export interface Scene {
  readonly weather: Weather;
  readonly ground: Ground;
  readonly objects: readonly SceneObject[];
  readonly style: IconStyle;
  /** Key of the stream that draws what is not told above: light, colours, drops, noise. */
  readonly appearance: string;
}

export const sceneSizePixels = 64;
