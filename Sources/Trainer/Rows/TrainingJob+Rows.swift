internal import Formats

extension TrainingJob {
    /// How a stage, one of ``stageJobs``, distils rows; nil where it trains on text.
    var rowDistillation: RowDistillation? { distilRows.flatMap { try? RowDistillation($0) } }

    /// Whether any stage distils rows.
    var distilsRows: Bool {
        distilRows != nil || stages.contains { $0.parameters[Self.distilRowsName] != nil }
    }

    static let distilRowsName = "distil-rows"

    /// What a stage may say beside ``distilRows``; all else follows from that.
    private static let readByRows: Set<String> = [
        distilRowsName, "name", "keep-end", "data", "replay", "length", "recompute", "gradients",
        "rope-theta",
    ]

    /// The parameters that a distillation sets.
    static let setByRows = TrainingStage.ofJob.subtracting(readByRows)

    /// The same job with a distillation's numbers, where it is one, in place of those of a healing on text.
    ///
    /// The decays are PyTorch's, as in the paper: a row is seen in few of many steps, and its second moment must outlast them.
    func distilling() -> TrainingJob {
        guard let rule = rowDistillation else { return self }
        let usual = TrainingJob()
        var job = self
        (job.steps, job.tokens, job.epochs) = (nil, nil, rule.epochs)
        (job.batch, job.accumulate) = (rule.batch, 1)
        (job.lr, job.embeddingLr) = (rule.rate, rule.rate)
        job.keepRate()
        (job.warmup, job.warmupFrom) = (0, 0)
        (job.beta1, job.beta2, job.eps) = (0.9, 0.999, 1e-8)
        (job.weightDecay, job.clip) = (0, 0)
        (job.train, job.freeze, job.groups) = ([], [], ["new-rows: rate=1, decay=0", "rest: freeze"])
        (job.ids, job.packing) = (nil, .documents)
        (job.infill, job.infillSpm, job.infillTokens) = (0, usual.infillSpm, [])
        (job.teacherWeight, job.teacherTemperature) = (usual.teacherWeight, usual.teacherTemperature)
        job.teacherOn = usual.teacherOn
        return job
    }

    /// Refuses a distillation that can't be, and what a stage says beside it that nothing would read.
    func checkRows(_ prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        guard distilsRows else { return }
        guard distilRows == nil || stages.isEmpty else {
            throw refuse(
                "\(prefix)distil-rows is of one stage; give it in that one of \(prefix)stages, as in 'name: rows, distil-rows: snippets=25'"
            )
        }
        guard !fromScratch else {
            throw refuse(
                "\(prefix)from-scratch has nothing to distil rows from; leave out \(prefix)distil-rows")
        }
        guard teacher == nil || !stages.isEmpty else {
            throw refuse("\(prefix)teacher does not go with \(prefix)distil-rows, where the model is its own")
        }
        if stages.isEmpty {
            try checkRowsAlone(prefix) { self.parameters[$0] != Self.defaults[$0] }
        } else {
            for index in stages.indices {
                do { try checkRows(ofStage: index, prefix) } catch {
                    throw error.within("the stage '\(title(ofStage: index) ?? "")'")
                }
            }
        }
        guard seam == .plain || stageJobs[0].distilRows == nil else {
            throw refuse(
                "\(prefix)seam ramp is of the first stage, which distils rows here; distil them in a run before it"
            )
        }
    }

    /// The same of one of its stages.
    func checkRows(ofStage index: Int, _ prefix: String) throws(UserFacingError) {
        let own = stages[index].parameters
        guard let value = own[Self.distilRowsName] else { return }
        var stage = TrainingJob()
        (stage.distilRows, stage.data, stage.replay) = (value.string, data, replay)
        try stage.checkRowsAlone(prefix) { own[$0] != nil }
    }

    private func checkRowsAlone(_ prefix: String, isGiven: (String) -> Bool) throws(UserFacingError) {
        if let distilRows { _ = try RowDistillation(distilRows) }
        guard let name = Self.setByRows.sorted().first(where: isGiven) else { return }
        let advice =
            ["lr", "batch", "epochs"].contains(name) ? "; give \(name == "lr" ? "rate" : name)= in it" : ""
        throw UserFacingError(
            .request,
            "\(prefix)\(name) does not go with \(prefix)distil-rows, which says how rows are moved itself\(advice)"
        )
    }
}
