/** The manifests for Kubernetes fit its schemas, the server's settings and each other. */
import { readdirSync, readFileSync } from 'node:fs';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Service } from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, SECRETS, SETTINGS } from '../../src/config.js';

const folder = (path: string) => new URL(`../../ops/kubernetes/${path}`, import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: the schemas of Kubernetes check what it is
const read = (path: string): any => parse(readFileSync(folder(path), 'utf8'));

const MODELS = {
  ConfigMap,
  Deployment,
  Job,
  NetworkPolicy,
  PodDisruptionBudget,
  Service,
  ServiceMonitor,
};

const kustomization = read('base/kustomization.yaml');
const overlay = read('overlays/production/kustomization.yaml');
const config = read('base/config.yaml');
const deployment = read('base/deployment.yaml');
const job = read('base/migrate.yaml');
const podOf = ({ spec }: { spec: { template: { spec: object } } }) => spec.template.spec;

/** What kustomize adds to a manifest: the labels of its selector. */
function withLabels(manifest: ReturnType<typeof read>) {
  const [{ pairs }] = kustomization.labels;
  const { kind, spec } = manifest;
  if (kind === 'Deployment') {
    return {
      ...manifest,
      spec: {
        ...spec,
        selector: { matchLabels: pairs },
        template: { ...spec.template, metadata: { labels: pairs } },
      },
    };
  }
  return manifest;
}

describe('the manifests', () => {
  test('are all listed', () => {
    const files = readdirSync(folder('base')).filter((name) => name !== 'kustomization.yaml');
    expect(kustomization.resources.toSorted()).toEqual(files.sort());
  });

  test.each(kustomization.resources as string[])('%s fits the schema of its kind', (name) => {
    const manifest = withLabels(read(`base/${name}`));
    const Model = MODELS[manifest.kind as keyof typeof MODELS];
    expect(Model, manifest.kind).toBeDefined();
    expect(() => new Model(manifest).validate()).not.toThrow();
  });

  test('a manifest that is wrong does not fit', () => {
    const wrong = withLabels({ ...deployment, spec: { ...deployment.spec, replicas: 'two' } });
    expect(() => new Deployment(wrong).validate()).toThrow();
  });
});

describe('the pods', () => {
  test.each([
    ['the server', podOf(deployment)],
    ['the migration', podOf(job)],
  ])('of %s have no more rights than they need', (_, pod) => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          resources: { limits: { memory: expect.any(String) } },
        },
      ],
    });
  });

  test('of the server have as much time to stop as the server may need', () => {
    const { terminationGracePeriodSeconds } = deployment.spec.template.spec;
    const { stopLingerMs, requestTimeoutMs, shutdownTimeoutMs } = loadConfig(settings());
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThan(shutdownTimeoutMs);
    expect(shutdownTimeoutMs).toBeGreaterThan(stopLingerMs + requestTimeoutMs);
  });
});

/** Returns the settings of a pod of the overlay, with a value for each secret. */
function settings(): Record<string, string> {
  const literals = overlay.configMapGenerator[0].literals.map((literal: string) => {
    const at = literal.indexOf('=');
    return [literal.slice(0, at), literal.slice(at + 1)];
  });
  const { DATABASE_URL_FILE, AMQP_URL_FILE, EXPORT_LINK_SECRET_FILE, ...values } = {
    ...config.data,
    ...Object.fromEntries(literals),
  };
  expect([DATABASE_URL_FILE, AMQP_URL_FILE, EXPORT_LINK_SECRET_FILE]).not.toContain(undefined);
  return { ...values, HOST: '0.0.0.0', PORT: '4000', NODE_ENV: 'production' };
}

test('the settings are settings of the server, which accepts them', () => {
  const known = [...SETTINGS, ...SECRETS.map((name) => `${name}_FILE`)];
  expect(known).toEqual(expect.arrayContaining(Object.keys(config.data)));
  expect(loadConfig(settings())).toMatchObject({
    metricsPort: 9_464,
    authentication: { mode: 'on' },
  });
});

test('each secret that a pod reads is in the overlay', () => {
  const mounts = [
    config.data.DATABASE_URL_FILE,
    config.data.AMQP_URL_FILE,
    config.data.EXPORT_LINK_SECRET_FILE,
    job.spec.template.spec.containers[0].env[0].value,
  ];
  const [{ files }] = overlay.secretGenerator;
  expect(mounts).toEqual(
    expect.arrayContaining(files.map((name: string) => `/run/secrets/virement/${name}`)),
  );
});
