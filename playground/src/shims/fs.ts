/** What is used of `node:fs`, in the memory of the page. */
import { fs } from 'memfs';

export default fs;
export const { promises } = fs;
export const closeSync: typeof fs.closeSync = (...parameters) => {
  fs.closeSync(...parameters);
};
export const createReadStream: typeof fs.createReadStream = (...parameters) =>
  fs.createReadStream(...parameters);
export const openSync: typeof fs.openSync = (...parameters) => fs.openSync(...parameters);
export const readSync = (...parameters: Parameters<typeof fs.readSync>): number => fs.readSync(...parameters);
