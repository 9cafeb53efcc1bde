import ArgumentParser
import CommandLineSupport
import Formats
import Surgery

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves a result: compares every tensor, byte for byte, with what it was made from.",
        discussion: """
            surgery.json in the result says what each tensor was made from and how, and has a checksum of each file of the \
            source, which is compared, too. The source is looked for where it \
            was, seen from the result; --source says where it is now.

            Ends with exit code 0 when every tensor is proven, else with 2.
            """)

    @Argument(help: "The result's folder.")
    var result: String

    @Option(help: "The folder with the source's files of weights, when they are no longer where they were.")
    var source: String?

    @Flag(help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
        try runReportingErrors {
            let proof = try prove(try Checkpoint.open(result))
            show(proof)
            if json { printJSON(object(proof)) }
            if !proof.isComplete { throw ExitCode(2) }
        }
    }

    private func prove(_ checkpoint: Checkpoint) throws -> Proof {
        Interruption.watch()
        var line = ProgressLine()
        let meter = ProgressMeter()
        defer { line.clear() }
        return try verify(
            checkpoint, source: source, threads: Processor.count, isCancelled: { Interruption.signal != nil }
        ) {
            line.update("comparing \(meter.bytes(done: $0, of: $1))")
        }
    }

    private func show(_ proof: Proof) {
        for change in proof.changedSources {
            report(
                "not proven: \(change.path) is not the file that the result was made from: its SHA-256 is "
                    + "\(change.found), and was \(change.expected)")
        }
        for failure in proof.failures {
            report("not proven: tensor \(failure.tensor): \(failure.reason)")
        }
        if let first = proof.unproven.first {
            let others = proof.unproven.count - 1
            report(
                "not proven: tensor \(first)\(others > 0 ? " and \(others) others" : "") were computed in a way that "
                    + "surgery.json can't repeat, as training does")
        }
        report(
            "\(proof.copied) tensors are their source's byte for byte"
                + (proof.derived > 0 ? ", \(proof.derived) are made of it as surgery.json says" : "")
                + (proof.isComplete
                    ? " (\(Units.bytes(proof.comparedByteCount)) compared)"
                    : ", \(proof.failures.count + proof.unproven.count) are not proven")
                + (proof.changedSources.isEmpty
                    ? "" : "; \(proof.changedSources.count) of the sources have changed since"))
    }

    private func object(_ proof: Proof) -> JSON {
        [
            "path": .string(proof.path), "proven": .bool(proof.isComplete),
            "sources": .array(proof.sources.map { .string($0) }),
            "changed_sources": .array(
                proof.changedSources.map {
                    [
                        "file": .string($0.path), "found": .string($0.found),
                        "expected": .string($0.expected),
                    ]
                }),
            "copied": JSON(proof.copied), "derived": JSON(proof.derived),
            "unproven": .array(proof.unproven.map { .string($0) }),
            "failures": .array(
                proof.failures.map { ["tensor": .string($0.tensor), "reason": .string($0.reason)] }),
            "bytes": JSON(proof.comparedByteCount),
        ]
    }
}
