public import Formats

/// Carries out a plan, shows how far it is, and stops it when the user says so.
public func writeShowingProgress(_ plan: WritePlan, with writer: CheckpointWriter) throws -> WriteReport {
    Interruption.watch()
    var line = ProgressLine()
    let meter = ProgressMeter()
    defer { line.clear() }
    return try writer.write(plan, isCancelled: { Interruption.signal != nil }) { progress in
        line.update("writing \(meter.bytes(progress))")
    }
}

extension WriteReport {
    /// Tells people what was written.
    public func tell(seconds: Double) {
        for overflow in overflows {
            warn(
                "\(overflow.count) numbers of \(overflow.tensor) are too large for the type and became infinite"
            )
        }
        for left in skippedFiles { report("left behind: \(left)") }
        report("wrote \(path): \(Units.bytes(byteCount)) in \(Units.duration(seconds: seconds))")
    }
}

extension [SkippedFile] {
    /// The files that were left behind, for programs.
    public var json: JSON {
        .array(map { ["name": .string($0.name), "reason": .string($0.reason)] })
    }
}
