/** `node:fs/promises` in the memory of the page. */
import { fs } from 'memfs';

const { promises } = fs;
export default promises;
export const {
  access,
  appendFile,
  chmod,
  copyFile,
  cp,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  opendir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} = promises as typeof promises & Record<string, never>;
