/** Loaded into a server by --import: upon SIGUSR2 an error is thrown that nothing catches. */
process.on('SIGUSR2', () => {
  setImmediate(() => {
    throw new Error('Thrown for a test');
  });
});
