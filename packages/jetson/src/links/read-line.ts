/** One line of text from a socket. */
import type { Socket } from 'node:net';

/** Why no line came. */
interface NoLine {
  readonly failure: 'closed' | 'too long' | 'timed out';
}

const maxLineBytes = 1024;

/** Reads one line and leaves the bytes after it in the socket, which stays paused. */
export function readLine(socket: Socket, timeoutSeconds: number): Promise<string | NoLine> {
  return new Promise((resolve) => {
    let read = Buffer.alloc(0);
    const finish = (result: string | NoLine) => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('close', onClose);
      socket.off('end', onClose);
      resolve(result);
    };
    const onClose = () => {
      finish({ failure: 'closed' });
    };
    const onReadable = () => {
      for (let chunk = next(socket); chunk; chunk = next(socket)) {
        read = Buffer.concat([read, chunk]);
        const end = read.indexOf(10);
        if (end > maxLineBytes || (end < 0 && read.length > maxLineBytes)) {
          finish({ failure: 'too long' });
          return;
        }
        if (end >= 0) {
          const rest = read.subarray(end + 1);
          finish(read.toString('utf8', 0, end));
          if (rest.length > 0) socket.unshift(rest);
          return;
        }
      }
    };
    const timer = setTimeout(() => {
      finish({ failure: 'timed out' });
    }, timeoutSeconds * 1000);
    socket.on('readable', onReadable);
    socket.once('close', onClose);
    socket.once('end', onClose);
    if (socket.destroyed) onClose();
    else onReadable();
  });
}

const next = (socket: Socket): Buffer | null => socket.read() as Buffer | null;
