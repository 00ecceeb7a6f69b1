import { preset } from '../../tools/jest.mjs';

export default preset(import.meta.dirname);
