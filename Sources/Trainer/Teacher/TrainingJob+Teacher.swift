internal import Formats

extension TrainingJob {
    /// What `teacher` says for the model's parent.
    static let parentWord = "parent"

    /// The parent that may be the teacher: the one beside which sets are put.
    var teachingParent: ParentChoice { parent.map { .named($0) } ?? (noParent ? .none : .ofManifest) }

    /// How a stage, one of ``stageJobs``, learns from the teacher; nil where there is none, it does not count, or the stage
    /// distils rows.
    var teaching: Teaching? {
        guard teacher != nil, teacherWeight > 0, distilRows == nil else { return nil }
        return Teaching(weight: teacherWeight, temperature: teacherTemperature, text: teacherOn)
    }

    /// How the first stage compares hidden states, as it is asked for.
    var hiddenRule: HiddenTeaching.Rule? { teacherHidden.flatMap { try? HiddenTeaching.Rule($0) } }

    /// Refuses what can't be of a teacher and contradicts itself.
    func checkTeacher(_ prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        let usual = TrainingJob()
        if let teacherHidden {
            do { _ = try HiddenTeaching.Rule(teacherHidden) } catch {
                throw UserFacingError(error.kind, prefix + error.message)
            }
            guard teacher != nil else {
                throw refuse("\(prefix)teacher-hidden is of \(prefix)teacher; name one")
            }
            guard stageJobs[0].teaching != nil else {
                throw refuse(
                    "\(prefix)teacher-hidden is of the first stage, which learns from no teacher; leave it out"
                )
            }
        }
        guard teacher != nil else {
            let isUsual = ([self] + stageJobs).allSatisfy {
                ($0.teacherWeight, $0.teacherTemperature, $0.teacherOn)
                    == (usual.teacherWeight, usual.teacherTemperature, usual.teacherOn)
            }
            if isUsual { return }
            throw refuse(
                "\(prefix)teacher-weight, \(prefix)teacher-temperature and \(prefix)teacher-on are of \(prefix)teacher; name one"
            )
        }
        guard stageJobs.contains(where: { $0.teaching != nil }) else {
            throw refuse("\(prefix)teacher-weight 0 leaves the teacher out; leave out \(prefix)teacher, too")
        }
        guard teacher != Self.parentWord || parent != nil || !noParent else {
            throw refuse(
                "\(prefix)teacher parent needs the parent that \(prefix)no-parent leaves out; give one of the two"
            )
        }
        guard teacher != Self.parentWord || parent != nil || !fromScratch else {
            throw refuse(
                "random weights have no parent; name the teacher of \(prefix)from-scratch by its folder")
        }
    }

    /// Refuses what a stage can't learn from a teacher.
    func checkTeaching(_ prefix: String) throws(UserFacingError) {
        let ranges = [
            ("teacher-weight", teacherWeight, 0...1, "from 0 to 1"),
            ("teacher-temperature", teacherTemperature, 0.1...100, "from 0.1 to 100"),
        ]
        for (name, value, range, words) in ranges where !range.contains(value) {
            throw UserFacingError(.request, "\(prefix)\(name) must be \(words), not \(value)")
        }
        guard let teaching, teaching.text == .replay, replay.isEmpty else { return }
        throw UserFacingError(
            .request,
            "\(prefix)teacher-on replay teaches on the sources of \(prefix)replay, and there are none")
    }
}
