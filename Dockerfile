# Millrace in a small image: built in one stage, run without the tools and as a user without rights in the other.
#
#   docker build -t millrace .
#   docker run -p 127.0.0.1:8000:8000 -v millrace:/data millrace

FROM node:22-slim AS build
WORKDIR /build
# The dependencies come before the source, so that a change of the source does not fetch them again. `.npmrc` switches
# install scripts off: the prebuilt binaries that the packages bring are the ones that run.
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts/build.mjs scripts/
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /opt/millrace
COPY package.json LICENSE ./
COPY config config
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
RUN ln -s /opt/millrace/dist/cli/main.cjs /usr/local/bin/millrace && install -d -o node -g node /data
USER node
VOLUME /data
EXPOSE 8000
# Inside of a container loopback reaches nobody: publish the port to an address that only you can reach. Other containers
# that call the daemon by a name (`http://millrace:8000`) need that name in MILLRACE_LISTEN_HOSTS.
ENV MILLRACE_LISTEN_HOST=0.0.0.0 MILLRACE_LISTEN_INSECURE=true
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/millrace/dist/cli/main.cjs"]
CMD ["serve", "--data", "/data"]
