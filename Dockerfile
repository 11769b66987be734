# The image of the server: Node, and the output of `npm run build`, which contains the packages that the server
# uses. Needs BuildKit, which `docker compose build` and Docker 23 and later use.
#
# No package's install script runs: the build needs none, and the package `node`, which gives a checkout its
# Node, would download a second one.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json build.ts ./
COPY migrations migrations
COPY web web
COPY src src
RUN npm run build && npm run --silent sbom >dist/sbom.cdx.json

FROM node:24-bookworm-slim
WORKDIR /app
# Every interface of the container: so it starts only where AUTH_… say who is let in.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
# The code stays root's, so that the server can't change it. The data are the server's: the embedded
# database is here, unless DATABASE_URL says otherwise.
RUN install -d -o node -g node data
# The lock file names the bundled packages for those who scan images.
COPY package.json package-lock.json LICENSE ./
COPY --from=build /app/dist dist
USER node
VOLUME ["/app/data"]
EXPOSE 4000
# Whether the process answers: a supervisor restarts what is unhealthy, which mends no database that is away. bash opens
# the connection itself, because a Node for each check would take as much memory as the check is worth.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-4000} && printf 'GET /livez HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
CMD ["node", "dist/main.js"]
