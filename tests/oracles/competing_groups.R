# Incidences, their variance and Gray's test by group for the subjects of delayed_entry.R, entry left
# out: cmprsk knows none. Ties between causes stand in the data.
# Usage: Rscript competing_groups.R <folder> <folder of delayed_entry_subjects.csv>
#        writes competing_groups.csv
suppressMessages(library(cmprsk))
arguments <- commandArgs(trailingOnly = TRUE)
subjects <- read.csv(file.path(arguments[2], "delayed_entry_subjects.csv"))
found <- cuminc(subjects$exit, subjects$cause, subjects$group)
times <- c(2, 5, 10, 20)
at <- timepoints(found, times)
rows <- do.call(rbind, lapply(rownames(at$est), function(name) {
  parts <- strsplit(name, " ")[[1]]
  data.frame(quantity = "incidence", group = parts[1], cause = parts[2], time = times,
             value = at$est[name, ], variance = at$var[name, ])
}))
tests <- data.frame(quantity = "gray", group = "", cause = rownames(found$Tests), time = NA,
                    value = found$Tests[, "stat"], variance = NA)
rows <- rbind(rows, tests)
rows[] <- lapply(rows, function(x) if (is.numeric(x)) formatC(x, digits = 17, format = "g") else x)
rows[] <- lapply(rows, function(x) ifelse(trimws(x) == "NA", "", trimws(x)))
write.csv(rows, file.path(arguments[1], "competing_groups.csv"), row.names = FALSE, quote = FALSE)
