/** Watches for the process that started it, and ends with it. */
import { createWatcher, type Watched } from './watcher.ts';

const watch = createWatcher((text) => void process.send?.(text));
process.on('message', (message: Watched) => watch(message));
process.on('disconnect', () => process.exit());
