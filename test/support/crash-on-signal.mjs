/** Throws an error that nothing catches when SIGUSR2 arrives. A server loads this module by --import. */
process.on('SIGUSR2', () => {
  setImmediate(() => {
    throw new Error('Thrown for a test');
  });
});
