import { UnavailableError } from '../../domain/errors.js';
import type { Broker, DeadLetterBroker } from './broker.js';

/**
 * The broker of a server without RabbitMQ. It has no consumers and hears no other instance. The relay tells the
 * subscribers of this process which accounts changed.
 */
export class InProcessBroker implements Broker, DeadLetterBroker {
  readonly isReady = true;

  async publish(): Promise<void> {}

  onEvent(): void {}

  onReady(listener: () => void): void {
    listener();
  }

  receiveDeadLetters(): void {}

  async send(): Promise<never> {
    throw new UnavailableError('BROKER_AWAY');
  }

  async close(): Promise<void> {}
}
