# Answers for delayed entry with ties, which the shared reference numbers lack.
# Usage: Rscript delayed_entry.R <folder>   writes delayed_entry_subjects.csv and delayed_entry.csv
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
RNGkind("Mersenne-Twister"); set.seed(20261031)

# Whole-day times with many ties; half enter late; two causes; two strata; two covariates.
n <- 240
entry <- ifelse(runif(n) < 0.5, 0, floor(runif(n, 1, 12)))
group <- floor(runif(n, 0, 3)); stratum <- floor(runif(n, 0, 2))
x <- round(runif(n), 3); z <- floor(runif(n, 0, 2))
exit <- entry + 1 + floor(rexp(n) / (0.07 * exp(0.3 * group + 0.5 * stratum + 0.8 * x)))
cause <- ifelse(runif(n) < 0.3, 0, ifelse(runif(n) < 0.6, 1, 2))
subjects <- data.frame(
  entry, exit, cause, group, stratum, x, z,
  exit_untied = exit + round(runif(n) * 0.9, 9))
subjects$entry_untied <- ifelse(entry == 0, 0, entry + 0.95)
subjects$exit_untied <- pmax(subjects$exit_untied, subjects$entry_untied + 0.01)

answers <- list()
answer <- function(quantity, term, time, value)
  answers[[length(answers) + 1]] <<- data.frame(quantity, term = as.character(term), time, value)

km <- summary(survfit(Surv(entry, exit, cause > 0) ~ 1, subjects, conf.type = "log-log"))
inside <- km$surv > 0
answer("km", "estimate", km$time[inside], km$surv[inside])
answer("km", "ci_low", km$time[inside], km$lower[inside])
answer("km", "ci_high", km$time[inside], km$upper[inside])
answer("km", "at_risk", km$time[inside], km$n.risk[inside])

aj <- survfit(Surv(entry, exit, factor(cause, 0:2)) ~ 1, subjects, id = seq_len(n))
for (k in 1:2) {
  answer("cif", k, aj$time, aj$pstate[, k + 1])
  answer("cif_se", k, aj$time, aj$std.err[, k + 1])
}

# Without ties the score test of the Cox model is the log-rank test, strata and entry included.
score <- function(formula) summary(coxph(formula, subjects))$sctest["test"]
answer("log_rank", "plain", NA, score(Surv(entry_untied, exit_untied, cause > 0) ~ factor(group)))
answer("log_rank", "strata", NA,
       score(Surv(entry_untied, exit_untied, cause > 0) ~ factor(group) + strata(stratum)))

cox <- coxph(Surv(entry, exit, cause > 0) ~ x + z + strata(stratum), subjects,
             control = coxph.control(eps = 1e-12, toler.chol = 1e-13, iter.max = 50))
answer("cox", names(coef(cox)), NA, coef(cox))
for (transform in c("km", "rank", "identity", "log")) {
  zph <- cox.zph(cox, transform = transform)$table
  answer(paste0("zph_", transform), rownames(zph), NA, zph[, "chisq"])
}

write_exact <- function(rows, name) {
  rows[] <- lapply(rows, function(x) if (is.numeric(x)) formatC(x, digits = 17, format = "g") else x)
  rows[] <- lapply(rows, function(x) ifelse(trimws(x) == "NA", "", trimws(x)))
  write.csv(rows, file.path(folder, name), row.names = FALSE, quote = FALSE)
}
write_exact(subjects, "delayed_entry_subjects.csv")
write_exact(do.call(rbind, answers), "delayed_entry.csv")
