package import Formats

// Why a run cannot go on, or cannot begin.
extension UserFacingError {
    /// A number that steers the run became infinite or not a number, in a step on these documents.
    package static func notFinite(what: String, step: Int, documents: String) -> Self {
        let texts = documents.isEmpty ? "" : " (documents: \(documents))"
        return Self(
            .diverged,
            """
            step \(step): the \(what) is not a finite number\(texts). Look at these texts, or run again with a lower \
            --lr or a longer --warmup
            """)
    }

    /// The weights became infinite or no numbers.
    package static func weightsNotFinite(step: Int) -> Self {
        Self(
            .diverged,
            """
            step \(step): the weights are no finite numbers any more; the model diverged. Run again with a lower --lr \
            or a longer --warmup
            """)
    }

    /// A set of texts has no finite loss.
    package static func lossNotFinite(set: String) -> Self {
        Self(
            .diverged,
            """
            \(set): the loss is not a finite number, though all weights are; the numbers of the model's layers become \
            too large on this text
            """)
    }

    /// A run with this output was begun and not ended.
    package static func unfinishedRun(folder: String, step: Int) -> Self {
        Self(
            .request,
            """
            \(folder) holds a run that was stopped after step \(step); add --resume to go on with it, or --force \
            to begin again
            """)
    }

    /// The run that is to be resumed was asked for something else.
    package static func otherRun(folder: String, differences: [String]) -> Self {
        Self(
            .request,
            """
            \(folder) holds a run with other settings: \(differences.joined(separator: "; ")). Resume it with its \
            own settings, or add --force without --resume to begin again
            """)
    }

    /// What was kept of a run cannot be read or written.
    package static func badRunState(path: String, reason: String) -> Self {
        Self(
            .malformed,
            "\(path): \(reason); begin again with --force and without --resume")
    }

    /// A run should go on until it is healed, and there is no parent that says when that is.
    static func noParentToHealTo(_ reason: String) -> Self {
        Self(
            .request,
            "--until-healed goes by what the parent makes of the sets, and there is none: \(reason); name it with --parent"
        )
    }

    /// A run has no checkpoint of a step.
    static func noSuchStep(_ step: Int, folder: String, kept: [Int]) -> Self {
        let there =
            kept.isEmpty ? "there is none" : "there are \(kept.map(String.init).joined(separator: ", "))"
        return Self(.missing, "\(folder): no checkpoint of step \(step) is kept; \(there)")
    }

    /// What should be a checkpoint is none.
    static func notACheckpoint(path: String, reason: String) -> Self {
        let kept = CheckpointStore.checkpoints(in: path)
        let advice = kept.isEmpty ? "" : "; give one of those in it: \(kept.joined(separator: ", "))"
        return Self(
            .request, "\(path) is no checkpoint of a run, as OUT.run/step-000200 is: \(reason)\(advice)")
    }

    /// A checkpoint is not what was written.
    static func damagedCheckpoint(_ path: String, _ reason: String) -> Self {
        let others = CheckpointStore.checkpoints(in: Path.parent(Path.absolute(path)))
            .filter { $0 != Path.name(path) }
        let advice =
            others.isEmpty
            ? "no other of its run is kept, so begin the run again with --force and without --resume"
            : "take another of its run, of which \(others.joined(separator: ", ")) are kept; --resume --at-step goes on from one"
        return Self(.malformed, "\(path) is damaged: \(reason); \(advice)")
    }

    /// A run that should begin with a checkpoint is on another model than the checkpoint's run.
    static func otherBeginning(_ path: String, _ model: String, _ what: String) -> Self {
        Self(
            .request,
            """
            \(path) is of a run on another model than \(model), with other values of \(what); give the model that the \
            checkpoint's run began with
            """)
    }

    /// A checkpoint was trained with a rotary base that the run does not have.
    static func otherRotaryBase(path: String, theta: Double) -> Self {
        Self(
            .request,
            "\(path) was trained with --rope-theta \(theta); give the same, or the base to go over to")
    }

    /// A tensor that nothing trains would stay what chance has made of it, and is not kept.
    static func frozenFromScratch(tensor: String) -> Self {
        Self(
            .request,
            """
            from-scratch begins with random weights, so nothing can be frozen at first, and \(tensor) is; train all of it, \
            or give a model with weights
            """)
    }

    /// A checkpoint has a tensor that a model has not.
    static func checkpointOfAnother(
        _ path: String, _ model: String, _ tensor: TensorExpression, _ name: String, _ own: TensorExpression?
    ) -> Self {
        Self(
            .request,
            """
            \(path) is no checkpoint of \(model): it has '\(name)' as \(tensor.type.rawValue)\(tensor.shape), and the \
            model \(own.map { "as \($0.type.rawValue)\($0.shape)" } ?? "not at all"); weights are kept as F32 in the \
            model's shapes
            """)
    }

    /// A step is not like those before it, and the run was asked to stop then.
    static func spike(_ finding: StepGuard.Finding, step: Int, inARow: Int, documents: String) -> Self {
        let texts = documents.isEmpty ? "" : " (documents: \(documents))"
        let often =
            inARow > 1
            ? ", and \(inARow) steps in a row were left out: the weights themselves may be broken" : ""
        return Self(
            .diverged,
            """
            step \(step): \(finding)\(often)\(texts). Look at these texts, go on from an earlier checkpoint, or run \
            again with a lower --lr or a longer --warmup
            """)
    }

    /// A checkpoint has moments that the run keeps in another way.
    static func otherMoments(path: String, kept: String, asked: String) -> Self {
        Self(
            .request,
            "\(path) has moments in \(kept), and this run keeps them in \(asked); give --moments \(kept)")
    }

    /// A checkpoint in which copied layers do not add all of what they compute.
    static func inRamp(path: String, steps: Int) -> Self {
        Self(
            .request,
            """
            \(path) was kept while copied layers were fading in (--seam ramp), so its weights alone are not the model that was \
            trained; take a checkpoint from step \(steps) on
            """)
    }

    /// Another process carries out the same run.
    package static func runBusy(folder: String) -> Self {
        Self(
            .busy,
            "\(folder): another process carries out this run; wait for it, or name another output with -o")
    }

    /// The run takes more memory than there is; `fitting` are the options with which it would not.
    package static func tooLittleMemory(needed: Int, available: Int, fitting: [String]) -> Self {
        Self(
            .resources,
            """
            the run takes about \(needed / 1_000_000) MB of memory, and \(available / 1_000_000) MB are available; \
            \(fitting.isEmpty ? "no option would make it fit: take a shorter --length, or another machine" : "it would fit with \(fitting.joined(separator: ", or "))")
            """)
    }

    /// The disk has too little room for what the run will have on it at once.
    package static func tooLittleRoom(
        folder: String, needed: Int, available: Int, checkpoint: Int, result: Int
    ) -> Self {
        Self(
            .resources,
            """
            the disk of \(folder) has \(available / 1_000_000) MB left, and the run needs about \(needed / 1_000_000) MB: \
            checkpoints of \(checkpoint / 1_000_000) MB, two at a time and those that stay (--keep, --keep-best, keep-end), and \
            a result of \(result / 1_000_000) MB. Free some, name an output elsewhere, keep fewer, or add --checkpoint-every 0, \
            which keeps one only when the run is stopped, or a stage ends
            """)
    }

    /// The log's folder is not there.
    package static func noLogFolder(log: String) -> Self {
        Self(
            .request,
            "\(log): its folder is not there; make it, or name another --log")
    }

    /// The log would replace a file that is no log.
    package static func notALog(path: String) -> Self {
        Self(
            .request,
            "\(path) exists and is no log of steps; name another --log")
    }

    /// A run shows more synthetic text than it may.
    static func tooSynthetic(share: Double, cap: Double, by sources: String) -> Self {
        Self(
            .request,
            """
            the run would show \(Units.fixed(100 * share, digits: 2)) % of synthetic text (\(sources)), and synthetic-cap allows \
            \(Units.fixed(100 * cap, digits: 2)) %; give these sources less weight, add other text, or raise the cap
            """)
    }
}
