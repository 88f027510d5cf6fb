# The image: one static binary and nothing else. No base image is pulled, so it builds where no registry is reachable.
# `scripts/image NAME` compiles the binary and calls this with a folder that holds only it.
FROM scratch
COPY muniment /muniment
# No name: there is no /etc/passwd. 65532 is the usual uid of those who are nobody in particular.
USER 65532:65532
ENTRYPOINT ["/muniment"]
