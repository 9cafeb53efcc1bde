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
            let verification = try verify(try Checkpoint.open(result))
            show(verification)
            if json { printJSON(object(verification)) }
            if !verification.isProven { throw ExitCode(2) }
        }
    }

    private func verify(_ checkpoint: Checkpoint) throws -> Verification {
        Interruption.watch()
        var line = ProgressLine()
        let meter = ProgressMeter()
        defer { line.clear() }
        let verification = try Verification(checkpoint, source: source) { done, total in
            line.update("comparing \(meter.bytes(done: done, of: total))")
            return Interruption.signal == nil
        }
        line.clear()
        try Interruption.check(advice: "nothing was proven")
        return verification
    }

    private func show(_ verification: Verification) {
        for change in verification.changedSources {
            report(
                "not proven: \(change.path) is not the file that the result was made from: its SHA-256 is "
                    + "\(change.found), and was \(change.expected)")
        }
        for failure in verification.failures {
            report("not proven: tensor \(failure.tensor): \(failure.reason)")
        }
        if let first = verification.unproven.first {
            let others = verification.unproven.count - 1
            report(
                "not proven: tensor \(first)\(others > 0 ? " and \(others) others" : "") were computed in a way that "
                    + "surgery.json can't repeat, as training does")
        }
        report(
            "\(verification.copied) tensors are their source's byte for byte"
                + (verification.derived > 0
                    ? ", \(verification.derived) are made of it as surgery.json says" : "")
                + (verification.isProven
                    ? " (\(Units.bytes(verification.comparedByteCount)) compared)"
                    : ", \(verification.failures.count + verification.unproven.count) are not proven")
                + (verification.changedSources.isEmpty
                    ? "" : "; \(verification.changedSources.count) of the sources are other files than then"))
    }

    private func object(_ verification: Verification) -> JSON {
        [
            "path": .string(verification.path), "proven": .bool(verification.isProven),
            "sources": .array(verification.sources.map { .string($0) }),
            "changed_sources": .array(
                verification.changedSources.map {
                    [
                        "file": .string($0.path), "found": .string($0.found),
                        "expected": .string($0.expected),
                    ]
                }),
            "copied": JSON(verification.copied), "derived": JSON(verification.derived),
            "unproven": .array(verification.unproven.map { .string($0) }),
            "failures": .array(
                verification.failures.map { ["tensor": .string($0.tensor), "reason": .string($0.reason)] }),
            "bytes": JSON(verification.comparedByteCount),
        ]
    }
}
