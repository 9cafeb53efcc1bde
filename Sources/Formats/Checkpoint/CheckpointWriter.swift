import Logging

/// Makes files of a model: a folder that is whole or not there.
///
/// Every file's layout is known before the first byte. Ranges of files are copied inside the kernel,
/// everything else passes through one buffer of bounded size. The folder gets its name when all of it is
/// durable; until then what is done stands beside it under a hidden name, and the same write goes on there.
public struct CheckpointWriter: Sendable {
    /// What the writes are told.
    public var options: WriteOptions

    /// A writer with these options.
    public init(options: WriteOptions = WriteOptions()) { self.options = options }

    /// What a write would do, down to the byte; nothing is written.
    ///
    /// - Parameters:
    ///   - checkpoint: the model.
    ///   - output: the folder it should become.
    /// - Returns: the plan; ``check(_:)`` says whether it can be carried out here and now.
    /// - Throws: ``UserFacingError`` when the model can't be written as safetensors.
    public func plan(_ checkpoint: Checkpoint, to output: String) throws(UserFacingError) -> WritePlan {
        try WritePlan(checkpoint, to: output, options: options)
    }

    /// Whether a plan can be carried out: the output's folder is there, the output itself is free or may be
    /// replaced and is none of the sources, and the disk has the room.
    ///
    /// - Throws: ``UserFacingError`` that says what stands in the way.
    public func check(_ plan: WritePlan) throws(UserFacingError) {
        let target = WriteTarget(plan.output)
        try target.check(plan, force: options.force)
        if !FileSystem.exists(target.partial) { try checkSpace(for: plan.byteCount, at: target.parent) }
    }

    /// Writes a model, or goes on with a write of the same model that was stopped.
    ///
    /// - Parameters:
    ///   - checkpoint: the model.
    ///   - output: the folder it becomes.
    ///   - isCancelled: asked many times a second; true stops the write so that it can go on later.
    ///   - progress: told how far the write is.
    /// - Returns: what was written.
    /// - Throws: ``UserFacingError``; the output is then as it was before.
    @discardableResult
    public func write(
        _ checkpoint: Checkpoint, to output: String, isCancelled: () -> Bool = { false },
        progress: (ByteProgress) -> Void = { _ in }
    ) throws(UserFacingError) -> WriteReport {
        try write(plan(checkpoint, to: output), isCancelled: isCancelled, progress: progress)
    }

    /// Carries out a plan, or goes on with it where it was stopped.
    ///
    /// - Parameters:
    ///   - plan: what to write.
    ///   - isCancelled: asked many times a second; true stops the write so that it can go on later.
    ///   - progress: told how far the write is.
    /// - Returns: what was written.
    /// - Throws: ``UserFacingError``; the output is then as it was before.
    @discardableResult
    public func write(
        _ plan: WritePlan, isCancelled: () -> Bool = { false }, progress: (ByteProgress) -> Void = { _ in }
    ) throws(UserFacingError) -> WriteReport {
        try check(plan)
        let target = WriteTarget(plan.output)
        try FileSystem.create(target.partial)
        let resumed: Int
        let overflows: [String: Int]
        do throws(UserFacingError) {
            var execution = try WriteExecution(plan, target, options)
            resumed = execution.done
            log(plan, resumed: resumed)
            try execution.prepare { needed throws(UserFacingError) in
                try checkSpace(for: needed, at: target.parent)
            }
            try execution.run(isCancelled: isCancelled, progress: progress)
            overflows = execution.overflows
        } catch {
            // What has not begun leaves no trace.
            if FileSystem.kind(of: target.model) == nil { try? FileSystem.remove(target.partial) }
            throw error
        }
        do throws(UserFacingError) {
            try plan.checkRestored(in: target.model, isCancelled: isCancelled)
        } catch {
            if error.isInterruption { throw .interrupted(partial: target.partial) }
            try FileSystem.remove(target.partial)
            throw error
        }
        try target.publish(force: options.force)
        return WriteReport(
            path: plan.output, files: plan.files.map(\.name), byteCount: plan.byteCount,
            resumedByteCount: resumed,
            overflows: overflows.sorted { $0.key < $1.key }.map { .init(tensor: $0.key, count: $0.value) },
            skippedFiles: plan.skippedFiles)
    }

    private func log(_ plan: WritePlan, resumed: Int) {
        if resumed > 0 {
            options.logger.info(
                "going on with a write that was stopped",
                metadata: ["output": "\(plan.output)", "done": "\(resumed)", "total": "\(plan.byteCount)"])
        }
        for left in plan.skippedFiles {
            options.logger.debug("left out", metadata: ["file": "\(left.name)", "reason": "\(left.reason)"])
        }
    }

    private func checkSpace(for needed: Int, at folder: String) throws(UserFacingError) {
        // A file takes whole blocks, and so do the folder and the journal.
        let (sum, overflow) = needed.addingReportingOverflow(1 << 20)
        guard let available = options.freeSpace(folder) else { return }
        if overflow || sum > available {
            throw .noSpace(path: folder, needed: overflow ? .max : sum, available: available)
        }
    }
}
