/** A road scene as a plain value, from which a picture is drawn. */

export type Weather = 'clear' | 'night' | 'rain' | 'snow' | 'fog';
/** How the ground looks; the tasks decide what a driver calls it. */
export type Ground = 'plain' | 'shiny' | 'striped' | 'logs';
export type IconStyle = 'noto' | 'fluent';

export const weathers: readonly Weather[] = ['clear', 'night', 'rain', 'snow', 'fog'];
export const iconStyles: readonly IconStyle[] = ['noto', 'fluent'];
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
  /** Key of the random stream for everything else: light, colours, drops, noise. */
  readonly appearance: string;
}

export const sceneSizePixels = 64;
